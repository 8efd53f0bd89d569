# SPDX-License-Identifier: Apache-2.0
# weft_layer(<name> <folder> [LINK <library>...] [EXCLUDE <file>...])
#
# Compiles every .c of one folder once, as the object library <name>.  Every product is put together from these
# objects, so that tests run the very code that ships.  A folder without sources adds nothing.
# Global properties: WEFT_LAYERS (names that exist), WEFT_LAYER_LINKS (libraries that they need).
function(weft_layer name folder)
    cmake_parse_arguments(PARSE_ARGV 2 layer "" "" "LINK;EXCLUDE")
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.c")
    foreach(file IN LISTS layer_EXCLUDE)
        list(REMOVE_ITEM sources "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/${file}")
    endforeach()
    if(NOT sources)
        message(STATUS "${name}: no sources yet")
        return()
    endif()
    add_library(${name} OBJECT ${sources})
    target_link_libraries(${name} PRIVATE ${layer_LINK})
    set_property(GLOBAL APPEND PROPERTY WEFT_LAYERS ${name})
    set_property(GLOBAL APPEND PROPERTY WEFT_LAYER_LINKS ${layer_LINK})
endfunction()

# weft_objects(<variable> <layer>...): the objects of those layers that exist.
function(weft_objects variable)
    get_property(existing GLOBAL PROPERTY WEFT_LAYERS)
    set(objects "")
    foreach(name IN LISTS ARGN)
        if(name IN_LIST existing)
            list(APPEND objects $<TARGET_OBJECTS:${name}>)
        endif()
    endforeach()
    set(${variable} "${objects}" PARENT_SCOPE)
endfunction()
