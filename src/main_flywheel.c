#include "cli/cli.h"

int main(int argc, char **argv) { return fw_cli_main(argc, argv); }
