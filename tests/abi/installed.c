/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: an installed weft can be found, included, linked and run.  Prints the version of the library that runs. */
#include <stdio.h>

#include <weft/weft.h>

int main(void)
{
    return puts(weft_version()) < 0;
}
