/* receipt.h - private to `flywheel receipt`: fetching, checking and showing receipts (factory/receipts/receipt.h).
 *
 *   EVENT --cmd_receipt.c: GET--> envelope + key --receipt_verify.c--> view --receipt_print.c--> stdout, for people
 *   FILE  -----------------------------------------'  '--objects: hashes; --drive: the same figures again
 */
#ifndef FW_CLI_RECEIPT_H
#define FW_CLI_RECEIPT_H

#include "base/file.h"
#include "cli/ask.h"
#include "factory/receipts/receipt.h"
#include "trust/dsse.h"

/* A receipt whose signature and chain hold. */
typedef struct fw_receipt_checked {
    json_t *statement; /* owned */
    fw_receipt_view view;
    fw_hash key; /* id of the key that signed */
} fw_receipt_checked;

/* key: TUF's JSON form. FW_MISMATCH: not signed by it; FW_CORRUPT: which hop does not hold. */
fw_status fw_receipt_verify(const char *envelope, size_t envelope_bytes, const char *key, fw_receipt_checked *out,
                            fw_error *error) FW_MUST;
void fw_receipt_checked_clear(fw_receipt_checked *checked);

/* The files that a receipt names and that one needs to drive its event again: recording, data set, the model that
 * drove then, the one that drives now. */
enum { FW_RECEIPT_FILES_MAX = 4 };
typedef struct fw_receipt_file {
    const char *what, *sha256; /* of the statement */
    bool needed;               /* to drive it again */
} fw_receipt_file;
uint32_t fw_receipt_files(const fw_receipt_view *view, fw_receipt_file out[FW_RECEIPT_FILES_MAX]);

/* Looks a file up by its hash: FOLDER/HASH, FOLDER/HA/HASH or FOLDER/objects/HA/HASH. FW_NOT_FOUND. */
fw_status fw_receipt_find_file(const char *folder, const char *sha256, char path[FW_PATH_MAX], fw_error *error) FW_MUST;
/* Every file that lies there has the hash it is named by. *found counts them. FW_MISMATCH names one that has not. */
fw_status fw_receipt_check_files(const fw_receipt_view *view, const char *folder, uint32_t *found,
                                 fw_error *error) FW_MUST;
/* Drives the event again from the files. FW_MISMATCH: other figures than the receipt's, and which. */
fw_status fw_receipt_drive(const fw_receipt_view *view, const char *folder, fw_error *error) FW_MUST;

/* The hops as a table, and what they come to, on stdout. */
void fw_receipt_print(const fw_receipt_view *view);
/* GET /v1/receipts in words. */
void fw_receipt_print_summary(const json_t *summary);

#endif
