# mcap_header.cmake - makes <flywheel/mcap.h>, the one header of libflywheel-mcap, from the headers
# of the tree, which stay its only source.
#
#   cmake -DSTATUS=src/base/status.h -DMCAP=src/mcap/mcap.h -DOUT=flywheel/mcap.h [-DMAP=exports.map]
#         -P mcap_header.cmake
#
# From status.h comes what a caller meets (statuses, fw_error, FW_MUST, fw_status_text), not what
# Flywheel's own code fails with. MAP gets a linker's version script that exports exactly the
# functions the header declares.
cmake_minimum_required(VERSION 3.25)

# Writes only what differs, so that nothing is compiled again for nothing.
function(put file text)
    set(before "")
    if(EXISTS ${file})
        file(READ ${file} before)
    endif()
    if(NOT before STREQUAL text)
        file(WRITE ${file} "${text}")
    endif()
endfunction()

function(between out text first last what)
    string(FIND "${text}" "${first}" begin)
    string(FIND "${text}" "${last}" end)
    if(begin EQUAL -1 OR end EQUAL -1 OR NOT begin LESS end)
        message(FATAL_ERROR "mcap_header: ${what} has no \"${first}\" before \"${last}\"")
    endif()
    math(EXPR size "${end} - ${begin}")
    string(SUBSTRING "${text}" ${begin} ${size} part)
    set(${out} "${part}" PARENT_SCOPE)
endfunction()

file(READ ${STATUS} status)
file(READ ${MCAP} mcap)
between(status_part "${status}" "#define FW_STATUS_LIST(X)" "/* Fills *error" ${STATUS})
between(story "${mcap}" "/* mcap.h" "#ifndef FW_MCAP_MCAP_H" ${MCAP})
between(mcap_part "${mcap}" "/* ------------------------------------------------------------------ words" "#endif\n" ${MCAP})

put(${OUT} "${story}#ifndef FLYWHEEL_MCAP_H
#define FLYWHEEL_MCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern \"C\" {
#endif

/* ------------------------------------------------------------- how a function says it failed */

${status_part}${mcap_part}#ifdef __cplusplus
}
#endif

#endif
")

if(MAP)
    string(REGEX MATCHALL "fw_(mcap|status)_[a-z0-9_]+\\(" calls "${status_part}${mcap_part}")
    list(TRANSFORM calls REPLACE "\\(" "")
    list(REMOVE_DUPLICATES calls)
    string(REPLACE ";" ";\n        " names "${calls}")
    put(${MAP} "{\n    global:\n        ${names};\n    local: *;\n};\n")
endif()
