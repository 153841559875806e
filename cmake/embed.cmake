# embed.cmake - the dashboard's files as a C source: cmake -DOUT=assets_data.c -DWEB=web -P embed.cmake
# A file that is missing (uPlot before npm ran) is left out; the page says so.
set(files
    "/|index.html|text/html"
    "/models.html|models.html|text/html"
    "/rollouts.html|rollouts.html|text/html"
    "/receipt.html|receipt.html|text/html"
    "/words.js|words.js|text/javascript"
    "/app.js|app.js|text/javascript"
    "/models.js|models.js|text/javascript"
    "/rollouts.js|rollouts.js|text/javascript"
    "/receipt.js|receipt.js|text/javascript"
    "/replay.js|replay.js|text/javascript"
    "/style.css|style.css|text/css"
    "/uplot.js|node_modules/uplot/dist/uPlot.iife.min.js|text/javascript"
    "/uplot.css|node_modules/uplot/dist/uPlot.min.css|text/css")
set(arrays "")
set(rows "")
set(count 0)
foreach(entry IN LISTS files)
    string(REGEX REPLACE "^([^|]*)\\|([^|]*)\\|(.*)$" "\\1" path "${entry}")
    string(REGEX REPLACE "^([^|]*)\\|([^|]*)\\|(.*)$" "\\2" file "${entry}")
    string(REGEX REPLACE "^([^|]*)\\|([^|]*)\\|(.*)$" "\\3" type "${entry}")
    if(NOT EXISTS "${WEB}/${file}")
        continue()
    endif()
    file(READ "${WEB}/${file}" hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const unsigned char asset_${count}[] = {${bytes}0};\n")
    string(APPEND rows "    {\"${path}\", \"${type}; charset=utf-8\", (const char *)asset_${count}, sizeof asset_${count} - 1},\n")
    math(EXPR count "${count} + 1")
endforeach()
set(text "/* Made by cmake/embed.cmake. */\n#include \"factory/api/assets.h\"\n\n${arrays}\n")
string(APPEND text "const fw_asset fw_assets[] = {\n${rows}    {0, 0, 0, 0}};\nconst size_t fw_asset_count = ${count};\n")
file(WRITE "${OUT}" "${text}")
