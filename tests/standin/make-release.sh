#!/bin/sh
# Write a release of the stand-in Moodle: make-release.sh DEST older|base|version|plugin|core|broken|patch-N (see README.md).
set -eu

dest=$1
what=$2
here=$(cd "$(dirname "$0")" && pwd)

mkdir -p "$dest"
cp -R "$here/tree/." "$dest/"

set_core() {    # version release branch
    sed -i -e "s/^\$version = .*/\$version = $1;/" -e "s/^\$release = .*/\$release = '$2';/" \
        -e "s/^\$branch = .*/\$branch = '$3';/" "$dest/version.php"
}

add_core_field() {  # savepoint field
    sed -i "s|^    // Releases add steps here.|    if (\$oldversion < $1) {\n        \$dbman->add_field('course', '$2', 'char', 50);\n        upgrade_main_savepoint(true, $1);\n    }\n\n&|" \
        "$dest/lib/db/upgrade.php"
    sed -i "s|^.*<!-- base -->.*|&\n      <FIELD NAME=\"$2\" TYPE=\"char\" LENGTH=\"50\"/>|" "$dest/lib/db/install.xml"
}

add_page_field() {  # version field
    sed -i "s/^\$plugin->version = .*/\$plugin->version = $1;/" "$dest/mod/page/version.php"
    sed -i "s|^    // Releases add steps here.|    if (\$oldversion < $1) {\n        \$dbman->add_field('page', '$2', 'char', 50);\n        upgrade_mod_savepoint(true, $1, 'page');\n    }\n\n&|" \
        "$dest/mod/page/db/upgrade.php"
    sed -i "s|^.*<!-- releases add fields here -->|      <FIELD NAME=\"$2\" TYPE=\"char\" LENGTH=\"50\"/>\n&|" "$dest/mod/page/db/install.xml"
}

case $what in
base) ;;
older)
    set_core 2023112400 '4.4dev (Build: 20231124)' 404
    # The last version that everything needs (is_major_upgrade_required) was another one then.
    sed -i 's/2024010400\.00/2022101400.03/' "$dest/lib/setuplib.php"
    sed -i '/<!-- base -->/d' "$dest/lib/db/install.xml"
    sed -i '/if (\$oldversion < 2024100700.01)/,/^    }/d' "$dest/lib/db/upgrade.php"
    ;;
version)
    set_core 2024100706.01 '4.5.6+ (Build: 20250815)' 405
    ;;
plugin)
    add_page_field 2024100701 revision
    ;;
core | broken)
    set_core 2024100707 '4.5.7 (Build: 20251006)' 405
    add_core_field 2024100706.10 startpage
    add_core_field 2024100706.20 endpage
    add_page_field 2024100701 revision
    if [ "$what" = broken ]; then
        set_core 2024100708 '4.5.8 (Build: 20251208)' 405
        sed -i "s|^        upgrade_mod_savepoint.*|        throw new moodle_exception('generalexceptionmessage', 'error', '', 'this release cannot upgrade mod_page');|" \
            "$dest/mod/page/db/upgrade.php"
    fi
    ;;
patch-[1-9] | patch-[1-9][0-9])
    last=${what#patch-}
    set_core "$((2024100710 + last))" "4.5.6 patch $last" 405
    for n in $(seq "$last"); do add_core_field "$((2024100710 + n))" "patch$n"; done
    ;;
*)
    echo "make-release.sh: unknown release '$what'" >&2
    exit 2
    ;;
esac
