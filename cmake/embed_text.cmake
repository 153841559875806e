# embed_text.cmake - one text file as a C array: cmake -DOUT=x.c -DIN=file -DNAME=fw_x -DHEADER=factory/x.h -P embed_text.cmake
file(READ "${IN}" hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE "${OUT}" "/* Made by cmake/embed_text.cmake. */
#include \"${HEADER}\"

static const unsigned char bytes[] = {${bytes}0};
const char *const ${NAME} = (const char *)bytes;
const size_t ${NAME}_bytes = sizeof bytes - 1;
")
