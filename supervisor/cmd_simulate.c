#include "base/fd.h"
#include "supervisor/client.h"
#include "supervisor/cmd_table.h"
#include "supervisor/fcgi.h"
#include "supervisor/nginx_load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_MS = 2000 };

typedef struct {
    bool load_known;
    nginx_load_t load;
    json_t *fpm; /* PHP-FPM's own status; NULL: it did not answer */
} seen_t;

static void on_load(void *arg, const unsigned char *bytes, size_t len, const err_t *err)
{
    seen_t *s = arg;
    (void)err;
    s->load_known = bytes && nginx_load_parse((const char *)bytes, len, &s->load);
}

static void on_fpm(void *arg, const char *body, size_t len, const err_t *err)
{
    seen_t *s = arg;
    (void)err;
    s->fpm = body ? json_loadb(body, len, 0, NULL) : NULL;
}

/* Both are asked at once, the way process 1 asks; a command may wait for them. */
static void look(const settings_t *set, seen_t *ret)
{
    cleanup_buf buf_t nginx = BUF_INIT, fpm = BUF_INIT;
    uv_loop_t loop;
    if (uv_loop_init(&loop) < 0) return;
    buf_printf(&nginx, "%s/%s", settings_str(set, SET_run_dir), NGINX_LOAD_SOCKET);
    buf_printf(&fpm, "%s/fpm-status.sock", settings_str(set, SET_run_dir));
    ask_unix(&loop, buf_cstr(&nginx), "nginx", NGINX_LOAD_REQUEST, strlen(NGINX_LOAD_REQUEST), NULL, ASK_MS,
             on_load, ret);
    fcgi_get(&loop, buf_cstr(&fpm), "/-/fpm-status?json&full", ASK_MS, on_fpm, ret);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}

static json_int_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

/* What PHP works on. The script only: a query may carry a session key. "request duration" is in microseconds, and of a running
 * request the time so far (fpm_status_export_to_zval() in PHP's sapi/fpm/fpm/fpm_status.c). */
static json_t *running(const seen_t *s, json_int_t cut_ms)
{
    json_t *list = json_array();
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(s->fpm, "processes"), i, p)
    {
        const char *state = json_string_value(json_object_get(p, "state"));
        if (!state || strcmp(state, "Running") != 0) continue;
        json_int_t ms = number(p, "request duration") / 1000;
        json_array_append_new(list, json_pack("{s:s*,s:I,s:I}", "script",
                                              json_string_value(json_object_get(p, "script")), "so_far_ms",
                                              ms, "cut_at_ms", ms + cut_ms));
    }
    return list;
}

static json_t *report_of(const seen_t *s, json_t *plan)
{
    json_t *o = json_deep_copy(plan);
    json_int_t left = number(plan, "quiesce_ms") - number(plan, "gone_ms");
    json_object_del(o, "ok");
    json_object_set_new(o, "in_flight", s->load_known ? json_integer(s->load.in_flight) : json_null());
    json_object_set_new(o, "keep_alive", s->load_known ? json_integer(s->load.keep_alive) : json_null());
    json_object_set_new(o, "php", running(s, left > 0 ? left : 0));
    return o;
}

static double seconds(const json_t *o, const char *key) { return (double)number(o, key) / 1000; }

static void print_load(const json_t *o)
{
    if (json_is_null(json_object_get(o, "in_flight")))
        puts("nginx does not say what it has in flight.");
    else
        printf("In flight: %lld requests; %lld connections are kept and idle.\n",
               (long long)number(o, "in_flight"), (long long)number(o, "keep_alive"));
}

static void print_plan(const json_t *o)
{
    double lame = seconds(o, "lame_ms"), quiesce = seconds(o, "quiesce_ms");
    printf(
        "%6.1f s  unready, serving on, answers say \"Connection: close\"; cron and locks are handed over\n",
        0.0);
    if (lame > 0)
        printf("%6.1f s  nginx accepts no more and finishes what it has; idle connections are closed\n",
               lame);
    printf("%6.1f s  what still runs is cut: a request of now after %.1f s more, the last one accepted after "
           "%.1f s\n",
           quiesce, quiesce, quiesce - lame);
    printf("%6.1f s  PHP that goes on without a visitor is ended\n", seconds(o, "finish_ms"));
    printf("%6.1f s  SIGKILL for all that is left\n", seconds(o, "kill_ms"));
    printf("%6.1f s  the container has ended; the task's stopTimeout must not be shorter\n",
           seconds(o, "end_ms"));
}

static void print_running(const json_t *o)
{
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(o, "php"), i, p)
    {
        const char *script = json_string_value(json_object_get(p, "script"));
        printf("%s%s: runs for %.1f s; cut if it takes more than %.1f s in all\n", i ? "" : "PHP works on:\n",
               script ? script : "?", seconds(p, "so_far_ms"), seconds(p, "cut_at_ms"));
    }
}

int cmd_simulate(const cli_args_t *args)
{
    err_t err = {0};
    seen_t seen = {0};
    json_t *plan = NULL;
    if (client_call(settings_str(args->settings, SET_run_dir),
                    json_pack("{s:s,s:b}", "cmd", "drain", "simulate", 1), CLIENT_TIMEOUT_MS, &plan,
                    &err) < 0)
        return cli_fail(&err);
    look(args->settings, &seen);
    json_t *o = report_of(&seen, plan);
    if (args->opt[1]) {
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        bool stopping = json_is_true(json_object_get(o, "stopping"));
        printf("Phase %s. %s\n", json_string_value(json_object_get(o, "phase")),
               stopping ? "The stop has begun already:" : "A stop now would do this; nothing is changed:");
        print_plan(o);
        print_load(o);
        print_running(o);
    }
    json_decref(o);
    json_decref(plan);
    json_decref(seen.fpm);
    return EXIT_OK;
}
