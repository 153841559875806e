#include "cli/local.h"

#include "base/file.h"

fw_status fw_cli_catalogue(const char *data_folder, fw_catalogue **out, fw_error *error) {
    char path[FW_PATH_MAX];
    fw_path_join(path, sizeof path, data_folder, "catalogue.sqlite");
    FW_TRY(fw_folder_make(data_folder, 0755, error));
    return fw_catalogue_open(path, out, error);
}
