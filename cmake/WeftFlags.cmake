# SPDX-License-Identifier: Apache-2.0
# The language and the flags that every file of the project is compiled with, including tests and examples.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wvla -Werror)
# Paths in assert messages start at the root of the source tree, wherever that is.
add_compile_options(-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
include_directories("${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/include")

if(WEFT_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "WEFT_FUZZ needs libFuzzer: configure with -DCMAKE_C_COMPILER=clang")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
    if(NOT WEFT_SANITIZE)
        set(WEFT_SANITIZE "address,undefined")
    endif()
endif()
if(WEFT_SANITIZE)
    # A finding ends the program: a test that prints one and passes would hide it.
    set(weft_sanitize -fsanitize=${WEFT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_compile_options(${weft_sanitize})
    add_link_options(${weft_sanitize})
    add_compile_definitions(WEFT_DEBUG)
endif()
