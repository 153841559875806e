# embed_vehicles.cmake - the table of vehicle kinds as C: cmake -DOUT=x.c -DIN=vehicles.json -P embed_vehicles.cmake
# A table in the program cannot fail to be read; that it says what the parser would is a test's business.
file(READ "${IN}" text)
string(JSON count LENGTH "${text}" vehicles)
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
    string(JSON fields LENGTH "${text}" vehicles ${i})
    math(EXPR last_field "${fields} - 1")
    string(APPEND kinds "    {")
    foreach(j RANGE ${last_field})
        string(JSON field MEMBER "${text}" vehicles ${i} ${j})
        string(JSON type TYPE "${text}" vehicles ${i} ${field})
        string(JSON value GET "${text}" vehicles ${i} ${field})
        if(type STREQUAL "STRING")
            string(APPEND kinds ".${field} = \"${value}\", ")
        else()
            string(APPEND kinds ".${field} = (float)${value}, ")
        endif()
    endforeach()
    string(APPEND kinds "},\n")
endforeach()
file(WRITE "${OUT}" "/* Made by cmake/embed_vehicles.cmake. */
#include \"lines/driving/act/vehicle.h\"

static const fw_vehicles builtin = {.count = ${count}, .kinds = {
${kinds}}};

const fw_vehicles *fw_vehicles_builtin(void) { return &builtin; }
")
