/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the engine and its simulator build and run without OpenSSL, hwloc and libyaml, and call nothing above them.
 * Method: this program links every object of libweft_sim, wanted or not; an undefined symbol is a call upwards and
 * fails the link.  Running it shows that the result loads. */
#include <string.h>

#include <weft/version.h>

int main(void)
{
    return strchr(weft_version(), '.') == NULL;
}
