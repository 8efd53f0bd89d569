# SPDX-License-Identifier: Apache-2.0
# Reads the version from include/weft/version.h into WEFT_VERSION and WEFT_VERSION_MAJOR, which is the soname.
set(weft_version_header "${CMAKE_CURRENT_LIST_DIR}/../include/weft/version.h")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${weft_version_header}")
foreach(part MAJOR MINOR PATCH)
    file(STRINGS "${weft_version_header}" line REGEX "^#define WEFT_VERSION_${part} ")
    if(NOT line MATCHES "^#define WEFT_VERSION_${part} ([0-9]+)$")
        message(FATAL_ERROR "${weft_version_header}: no line '#define WEFT_VERSION_${part} <number>'")
    endif()
    set(WEFT_VERSION_${part} ${CMAKE_MATCH_1})
endforeach()
set(WEFT_VERSION "${WEFT_VERSION_MAJOR}.${WEFT_VERSION_MINOR}.${WEFT_VERSION_PATCH}")
