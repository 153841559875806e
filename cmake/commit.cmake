# Writes which commit a program is made of: cmake -DOUT=FILE.h -DSOURCE=FOLDER -P commit.cmake, with every build.
# A tree without git (a tarball) has none, which is said as "". The file is touched only when it changes.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed OR NOT commit MATCHES "^[0-9A-Za-z._-]+$")
    set(commit "")
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define FW_COMMIT \"${commit}\"\n")
