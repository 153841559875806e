# mcap_install.cmake - libflywheel-mcap as a library others install and link:
#
#   cmake --install BUILD --component mcap --prefix PREFIX
#
#   include/flywheel/mcap.h              the one header, made by mcap_header.cmake
#   lib/libflywheel-mcap.so.VERSION .a   the shared one shows exactly what the header declares
#   lib/pkgconfig/flywheel-mcap.pc       pkg-config --cflags --libs [--static] flywheel-mcap
#   lib/cmake/flywheel-mcap/             find_package(flywheel-mcap), target flywheel::mcap (shared)
#                                        or flywheel::mcap-static
#
# The tree's own programs link the folder's library, fw_mcap, as before.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(mcap_made ${CMAKE_BINARY_DIR}/mcap)
set(mcap_header ${mcap_made}/include/flywheel/mcap.h)
set(mcap_map ${mcap_made}/exports.map)
set(mcap_from -DSTATUS=${CMAKE_SOURCE_DIR}/src/base/status.h -DMCAP=${CMAKE_SOURCE_DIR}/src/mcap/mcap.h
    -DOUT=${mcap_header} -DMAP=${mcap_map} -P ${CMAKE_SOURCE_DIR}/cmake/mcap_header.cmake)
execute_process(COMMAND ${CMAKE_COMMAND} ${mcap_from} COMMAND_ERROR_IS_FATAL ANY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
             src/base/status.h src/mcap/mcap.h cmake/mcap_header.cmake)

file(GLOB mcap_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/mcap/*.c)
add_library(flywheel_mcap_objects OBJECT ${mcap_sources} ${CMAKE_SOURCE_DIR}/src/base/status.c)
set_target_properties(flywheel_mcap_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_link_libraries(flywheel_mcap_objects PRIVATE PkgConfig::ZSTD PkgConfig::LZ4)

foreach(kind mcap mcap-static)
    string(REPLACE "-" "_" target flywheel_${kind})
    if(kind STREQUAL "mcap")
        add_library(${target} SHARED $<TARGET_OBJECTS:flywheel_mcap_objects>)
    else()
        add_library(${target} STATIC $<TARGET_OBJECTS:flywheel_mcap_objects>)
    endif()
    set_target_properties(${target} PROPERTIES OUTPUT_NAME flywheel-mcap EXPORT_NAME ${kind}
                          VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINKER_LANGUAGE C)
    target_link_libraries(${target} PRIVATE PkgConfig::ZSTD PkgConfig::LZ4 Threads::Threads)
    target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    install(TARGETS ${target} EXPORT flywheel-mcap COMPONENT mcap)
endforeach()
target_link_options(flywheel_mcap PRIVATE -Wl,--no-undefined -Wl,--version-script=${mcap_map})
set_property(TARGET flywheel_mcap APPEND PROPERTY LINK_DEPENDS ${mcap_map})

install(FILES ${mcap_header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/flywheel COMPONENT mcap)
install(EXPORT flywheel-mcap NAMESPACE flywheel:: FILE flywheel-mcap-targets.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/flywheel-mcap COMPONENT mcap)
configure_package_config_file(cmake/flywheel-mcap-config.cmake.in ${mcap_made}/flywheel-mcap-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/flywheel-mcap)
write_basic_package_version_file(${mcap_made}/flywheel-mcap-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${mcap_made}/flywheel-mcap-config.cmake ${mcap_made}/flywheel-mcap-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/flywheel-mcap COMPONENT mcap)
# The prefix is found from where the file lies, so an installed tree may move.
file(RELATIVE_PATH mcap_up ${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/flywheel-mcap.pc.in ${mcap_made}/flywheel-mcap.pc @ONLY)
install(FILES ${mcap_made}/flywheel-mcap.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT mcap)
