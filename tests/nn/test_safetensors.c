/* Model files: what is written reads back; hostile files are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/run/safetensors.h"

static char *made(size_t *size) {
    static const float a[6] = {1, 2, 3, 4, 5, 6}, b[2] = {7, 8};
    fw_tensor tensors[2] = {{.name = "a", .dims = 2, .shape = {2, 3}, .data = a},
                            {.name = "b", .dims = 1, .shape = {2}, .data = b}};
    fw_safetensors file = {.count = 2, .tensors = tensors,
                           .metadata = json_pack("{s:s}", "policy", "network")};
    char *bytes = NULL;
    assert_int_equal(fw_safetensors_write(&file, &bytes, size, NULL), FW_OK);
    fw_safetensors_clear(&file);
    return bytes;
}

static void test_round_trip(void **state) {
    (void)state;
    size_t size;
    char *bytes = made(&size);
    fw_safetensors file;
    fw_error error = {""};
    assert_int_equal(fw_safetensors_read(bytes, size, &file, &error), FW_OK);
    assert_int_equal(file.count, 2);
    const fw_tensor *a = fw_safetensors_find(&file, "a", 6);
    assert_non_null(a);
    float last;
    memcpy(&last, (const float *)a->data + 5, sizeof last);
    assert_true(last == 6);
    assert_null(fw_safetensors_find(&file, "a", 5));
    assert_null(fw_safetensors_find(&file, "c", 0));
    assert_string_equal(json_string_value(json_object_get(file.metadata, "policy")), "network");
    fw_safetensors_clear(&file);
    free(bytes);
}

static void test_truncated_everywhere(void **state) {
    (void)state;
    size_t size;
    char *bytes = made(&size);
    for (size_t cut = 0; cut < size; cut++) {
        char *copy = malloc(cut ? cut : 1);
        memcpy(copy, bytes, cut);
        fw_safetensors file;
        assert_int_not_equal(fw_safetensors_read(copy, cut, &file, NULL), FW_OK);
        free(copy);
    }
    free(bytes);
}

static fw_status read_header(const char *header, size_t data_bytes) {
    size_t n = strlen(header);
    char *bytes = calloc(1, 8 + n + data_bytes);
    for (int i = 0; i < 8; i++) bytes[i] = (char)((uint64_t)n >> (8 * i));
    memcpy(bytes + 8, header, n);
    fw_safetensors file;
    fw_error error = {""};
    fw_status status = fw_safetensors_read(bytes, 8 + n + data_bytes, &file, &error);
    if (status == FW_OK) fw_safetensors_clear(&file);
    else assert_true(strlen(error.text) > 0);
    free(bytes);
    return status;
}

static void test_hostile(void **state) {
    (void)state;
    static const char *const bad[] = {
        "{", "[]", "{\"a\":1}",
        "{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,40]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[65536,65536,65536],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
        "{\"__metadata__\":{\"x\":1}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":1}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,4294967296,4294967296],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,5]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
        "{\"a\":[[[[[[[[[1]]]]]]]]]}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_not_equal(read_header(bad[i], 8), FW_OK);
    assert_int_equal(
        read_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8), FW_OK);
}

/* Every dtype, eight dimensions, an empty tensor, and names that need sorting. */
static void test_dtypes(void **state) {
    (void)state;
    static const char data[64] = "0123456789abcdef0123456789abcdef";
    fw_tensor tensors[FW_TENSOR_DTYPE_COUNT + 2] = {0};
    uint32_t count = 0;
    for (; count < FW_TENSOR_DTYPE_COUNT; count++) {
        fw_tensor *t = &tensors[count];
        *t = (fw_tensor){.dtype = (fw_tensor_dtype)count, .dims = 1, .shape = {3}, .data = data};
        snprintf(t->name, sizeof t->name, "t%u", FW_TENSOR_DTYPE_COUNT - count);
    }
    tensors[count++] = (fw_tensor){.name = "empty", .dims = 2, .shape = {4, 0}};
    tensors[count++] =
        (fw_tensor){.name = "deep", .dims = 8, .shape = {1, 1, 1, 1, 1, 1, 1, 2}, .data = data};
    char *bytes = NULL;
    size_t size = 0;
    fw_safetensors file = {.count = count, .tensors = tensors}, back;
    assert_int_equal(fw_safetensors_write(&file, &bytes, &size, NULL), FW_OK);
    assert_int_equal(fw_safetensors_read(bytes, size, &back, NULL), FW_OK);
    assert_int_equal(back.count, count);
    for (uint32_t i = 0; i < count; i++) {
        const fw_tensor *t = fw_safetensors_find_any(&back, tensors[i].name);
        assert_non_null(t);
        assert_int_equal(t->dtype, tensors[i].dtype);
        assert_int_equal(t->dims, tensors[i].dims);
        size_t part = fw_tensor_elements(t) * fw_tensor_dtype_bytes(t->dtype);
        assert_int_equal(fw_tensor_elements(t), fw_tensor_elements(&tensors[i]));
        if (part > 0) assert_memory_equal(t->data, data, part);
    }
    assert_null(fw_safetensors_find(&back, "t7", 0)); /* BF16 is no F32 */
    assert_non_null(fw_safetensors_find(&back, "t8", 3));
    fw_safetensors_clear(&back);
    free(bytes);
}

/* The bytes of a small file, as they always were. */
static void test_bytes_stay(void **state) {
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"policy\":\"network\"},\"a\":{\"data_offsets\":[0,24],\"dtype\":\"F32\","
        "\"shape\":[2,3]},\"b\":{\"data_offsets\":[24,32],\"dtype\":\"F32\",\"shape\":[2]}}";
    size_t size, padded = (sizeof header - 1 + 7) / 8 * 8;
    char *bytes = made(&size);
    assert_int_equal(size, 8 + padded + 32);
    assert_int_equal((unsigned char)bytes[0], padded);
    assert_memory_equal(bytes + 8, header, sizeof header - 1);
    free(bytes);
}

static void test_many(void **state) {
    (void)state;
    enum { MANY = 20000 };
    fw_tensor *tensors = calloc(MANY, sizeof *tensors);
    float value = 3;
    for (uint32_t i = 0; i < MANY; i++) {
        tensors[i] = (fw_tensor){.dims = 1, .shape = {1}, .data = &value};
        snprintf(tensors[i].name, sizeof tensors[i].name, "layer.%u.weight", i);
    }
    fw_safetensors file = {.count = MANY, .tensors = tensors}, back;
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(fw_safetensors_write(&file, &bytes, &size, NULL), FW_OK);
    assert_int_equal(fw_safetensors_read(bytes, size, &back, NULL), FW_OK);
    assert_int_equal(back.count, MANY);
    for (uint32_t i = 0; i < MANY; i += 7)
        assert_non_null(fw_safetensors_find(&back, tensors[i].name, 1));
    fw_safetensors_clear(&back);
    free(bytes);
    strcpy(tensors[1].name, tensors[0].name);
    assert_int_equal(fw_safetensors_write(&file, &bytes, &size, NULL), FW_INVALID);
    free(tensors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_truncated_everywhere),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_bytes_stay),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
