# SPDX-License-Identifier: Apache-2.0
# Third-party libraries, as targets PkgConfig::<NAME>.  Each is visible in one folder; tests/tidy/third_party.txt
# says in which.  script/setup installs them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(URING REQUIRED IMPORTED_TARGET liburing>=2.3)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET libssl>=3.0 libcrypto>=3.0)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc>=2.0)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.13)
# libipsec-mb comes without a pkg-config file.  Without it, or on another processor, OpenSSL encrypts alone.
option(WEFT_VAES "AES-GCM by libipsec-mb on CPUs with VAES, where it is found" ON)
if(WEFT_VAES AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    find_path(IPSEC_MB_INCLUDE intel-ipsec-mb.h)
    find_library(IPSEC_MB_LIBRARY IPSec_MB)
    if(IPSEC_MB_INCLUDE AND IPSEC_MB_LIBRARY)
        add_library(IPSecMB::IPSecMB UNKNOWN IMPORTED)
        set_target_properties(IPSecMB::IPSecMB PROPERTIES IMPORTED_LOCATION "${IPSEC_MB_LIBRARY}"
            INTERFACE_INCLUDE_DIRECTORIES "${IPSEC_MB_INCLUDE}")
    endif()
endif()
if(WEFT_TESTS)
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
