#include "bootstrap/aws_endpoint.h"
#include <stdio.h>
#include <string.h>

/* botocore/data/partitions.json; the first row is for all other regions. */
static const struct partition {
    const char *region_start, *dns, *dual_stack_dns;
    bool both_by_one; /* Secrets Manager's plain name serves IPv6 as well: its rule set */
} PARTITIONS[] = {
    {"", "amazonaws.com", "api.aws", true},
    {"us-gov-", "amazonaws.com", "api.aws", true},
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", true},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu", false},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov", false},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud", false},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", false},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov", false},
};

static const struct partition *partition_of(const char *region)
{
    const struct partition *found = &PARTITIONS[0];
    for (size_t i = 1; i < sizeof PARTITIONS / sizeof *PARTITIONS; i++)
        if (strncmp(region, PARTITIONS[i].region_start, strlen(PARTITIONS[i].region_start)) == 0)
            found = &PARTITIONS[i];
    return found;
}

static int use_override(const settings_t *set, set_id_t id, aws_target_t *ret, err_t *err)
{
    err_t why = {0};
    if (aws_http_parse(settings_str(set, id), false, &ret->parts, &why) < 0)
        return err_set(err, ERR_SET_INVALID, "%s: %s", SETTINGS[id].name, why.msg);
    char *path = ret->parts.path;
    size_t len = strlen(path);
    if (len + 1 < sizeof ret->parts.path && (len == 0 || path[len - 1] != '/')) {
        path[len] = '/'; /* botocore joins the endpoint's path and the operation's "/" so */
        path[len + 1] = '\0';
    }
    snprintf(ret->url, sizeof ret->url, "%s://%s%s", ret->parts.https ? "https" : "http",
             ret->parts.host_header, path);
    return 0;
}

/* The one exception of each rule set: GovCloud's SSM has FIPS behind its plain name, and in China only FIPS and IPv6 together have
 * a dual-stack name of Secrets Manager. */
static void use_region(const settings_t *set, bool is_parameter, aws_target_t *ret)
{
    bool fips = settings_bool(set, SET_aws_fips), dual = settings_bool(set, SET_aws_dual_stack);
    const struct partition *p = partition_of(ret->region);
    bool is_china = strcmp(p->region_start, "cn-") == 0, is_gov = strcmp(p->region_start, "us-gov-") == 0;
    bool plain_name = !dual || (!is_parameter && p->both_by_one && !(is_china && fips));
    bool fips_name = fips && !(is_parameter && is_gov && !dual);
    snprintf(ret->url, sizeof ret->url, "https://%s%s.%s.%s/", is_parameter ? "ssm" : "secretsmanager",
             fips_name ? "-fips" : "", ret->region, plain_name ? p->dns : p->dual_stack_dns);
}

int aws_endpoint(const settings_t *set, const aws_arn_t *arn, aws_target_t *ret, err_t *err)
{
    *ret = (aws_target_t){0};
    snprintf(ret->region, sizeof ret->region, "%s", arn->region);
    const set_id_t from[] = {arn->is_parameter ? SET_aws_endpoint_ssm : SET_aws_endpoint_sm,
                             SET_aws_endpoint};
    bool listen = !settings_bool(set, SET_aws_ignore_endpoints);
    for (size_t i = 0; listen && i < sizeof from / sizeof *from; i++) {
        if (!*settings_str(set, from[i])) continue;
        if (settings_bool(set, SET_aws_fips) || settings_bool(set, SET_aws_dual_stack))
            return err_set(
                err, ERR_SET_CONFLICT, "%s is set, and so is %s", SETTINGS[from[i]].name,
                SETTINGS[settings_bool(set, SET_aws_fips) ? SET_aws_fips : SET_aws_dual_stack].name);
        return use_override(set, from[i], ret, err);
    }
    use_region(set, arn->is_parameter, ret);
    return aws_http_parse(ret->url, false, &ret->parts, err);
}
