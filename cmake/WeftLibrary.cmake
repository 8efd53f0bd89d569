# SPDX-License-Identifier: Apache-2.0
# The libraries, put together from the layers:
#   weft           libweft.so: what is installed; exports exactly the symbols of tests/abi/weft.symbols
#   weft_sim_lib   libweft_sim.a: the engine and the simulator, without OpenSSL, hwloc and libyaml
#   weft_internal  everything, with internal symbols: what the program and the tests link
set(weft_engine_layers weft_base weft_io weft_reactor weft_net weft_rpc)
set(weft_library_layers ${weft_engine_layers} weft_tls weft_machine weft_cluster weft_config)
weft_objects(weft_engine_objects ${weft_engine_layers})
weft_objects(weft_library_objects ${weft_library_layers})
weft_objects(weft_sim_objects weft_sim)
get_property(weft_links GLOBAL PROPERTY WEFT_LAYER_LINKS)
list(REMOVE_DUPLICATES weft_links)

# The version script: one node per release that added symbols.  The list is the contract, so it is an input here,
# and tests/tidy compares it with the headers and with what the library really exports.
set(weft_symbols_file "${PROJECT_SOURCE_DIR}/tests/abi/weft.symbols")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${weft_symbols_file}")
file(STRINGS "${weft_symbols_file}" weft_symbols REGEX "^weft_[a-z0-9_]+$")
set(weft_map "${PROJECT_BINARY_DIR}/weft.map")
set(weft_map_text "WEFT_0 {\n    global:\n")
foreach(symbol IN LISTS weft_symbols)
    string(APPEND weft_map_text "        ${symbol};\n")
endforeach()
string(APPEND weft_map_text "    local:\n        *;\n};\n")
file(CONFIGURE OUTPUT "${weft_map}" @ONLY CONTENT "@weft_map_text@")

add_library(weft SHARED ${weft_library_objects})
add_library(weft::weft ALIAS weft)
set_target_properties(weft PROPERTIES VERSION ${WEFT_VERSION} SOVERSION ${WEFT_VERSION_MAJOR}
    LINK_DEPENDS "${weft_map}")
target_include_directories(weft INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_options(weft PRIVATE "LINKER:--version-script=${weft_map}")
if(NOT WEFT_SANITIZE)
    # A sanitizer's runtime comes with the program, so its symbols are missing here.
    target_link_options(weft PRIVATE LINKER:--no-undefined LINKER:--as-needed)
endif()
target_link_libraries(weft PRIVATE ${weft_links})

if(weft_sim_objects)
    add_library(weft_sim_lib STATIC ${weft_engine_objects} ${weft_sim_objects})
    set_target_properties(weft_sim_lib PROPERTIES OUTPUT_NAME weft_sim)
    target_link_libraries(weft_sim_lib PUBLIC PkgConfig::URING Threads::Threads)
endif()

add_library(weft_internal STATIC ${weft_library_objects} ${weft_sim_objects})
target_link_libraries(weft_internal PUBLIC ${weft_links})
