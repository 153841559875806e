/* dbc.h - private: what a DBC file says of CAN messages, and a frame's signals by it.
 *
 * Read are BO_ (messages) and SG_ (signals: place, byte order, sign, factor, offset, unit, multiplexing
 * by one switch) and SIG_VALTYPE_ (floats); everything else is passed over, as other readers do.
 * Bit numbering: Intel signals start at their lowest bit and count up; Motorola ones start at their
 * highest bit, in bytes counted from the left with bit 7 first.
 */
#ifndef FW_IMPORT_DBC_H
#define FW_IMPORT_DBC_H

#include "import/import.h"

enum { FW_DBC_MESSAGES_MAX = 4096, FW_DBC_SIGNALS_MAX = 64, FW_DBC_NAME_MAX = 64 };

typedef struct fw_dbc_signal {
    char name[FW_DBC_NAME_MAX], unit[FW_DBC_NAME_MAX];
    uint16_t start_bit, bits;
    bool intel, is_signed;
    bool is_switch;      /* its raw value says which multiplexed signals are there */
    int32_t multiplexed; /* there when the switch has this value; -1: always */
    uint8_t float_bytes; /* 4, 8: IEEE; 0: integer */
    double factor, offset;
} fw_dbc_signal;

typedef struct fw_dbc_message {
    uint32_t id; /* with bit 31 set for an extended (29 bit) one, as DBC writes it */
    char name[FW_DBC_NAME_MAX];
    uint16_t size_bytes;
    uint32_t signal_count;
    fw_dbc_signal *signals; /* (signal_count), owned */
} fw_dbc_message;

typedef struct fw_dbc {
    fw_dbc_message *messages; /* (count), by id, owned */
    uint32_t count;
} fw_dbc;

/* FW_CORRUPT names the line. The caller ends it with fw_dbc_clear. */
fw_status fw_dbc_parse(const char *bytes, size_t size_bytes, fw_dbc *out, fw_error *error) FW_MUST;
void fw_dbc_clear(fw_dbc *dbc);
const fw_dbc_message *fw_dbc_find(const fw_dbc *dbc, uint32_t id);
/* values: (signal_count); NaN for signals outside the data or switched off. */
void fw_dbc_decode(const fw_dbc_message *message, const uint8_t *data, size_t size_bytes,
                   double *values);

#endif
