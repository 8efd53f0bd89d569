/* SPDX-License-Identifier: Apache-2.0 */
/* Uses every macro of the public headers that a caller writes, in C and in C++: a macro that nobody expanded can hold
 * anything.  Compiled only, never run. */
#include <weft/weft.h>

#if WEFT_VERSION_MAJOR < 0 || WEFT_VERSION_MINOR < 0 || WEFT_VERSION_PATCH < 0
#error "versions are numbers, usable by the preprocessor"
#endif

static const uint64_t numbers[] = {WEFT_PAYLOAD_BYTES_MAX, WEFT_VERB_RESERVED,    WEFT_CALL_TIMEOUT_MS_DEFAULT,
                                   WEFT_NAME_BYTES_MAX,    WEFT_ERROR_TEXT_BYTES, WEFT_PEER_ADDRESSES_MAX,
                                   WEFT_PEERS_MAX};

#define X_ERROR(name, value, text, meaning) text meaning,
#define X_REASON(name, text) text,
#define X_COUNTER(name) #name,
static const char *const texts[] = {WEFT_ERRORS(X_ERROR) WEFT_REFUSALS(X_REASON) WEFT_ENDS(X_REASON)
                                        WEFT_DECISIONS(X_REASON) WEFT_COUNTERS(X_COUNTER) WEFT_GAUGES(X_COUNTER)};

static const struct weft_foreign_options outside = WEFT_FOREIGN_OPTIONS_INIT;

#ifdef __cplusplus
struct holder {
    struct weft_node_options member = WEFT_NODE_OPTIONS_INIT;
};
#endif

uint64_t macros_use(void);

uint64_t macros_use(void)
{
    struct weft_call_options call = WEFT_CALL_OPTIONS_INIT;
    struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    struct weft_node_options node = WEFT_NODE_OPTIONS_INIT;
    struct weft_span span = weft_span_of("text");
    return outside.size + call.size + peer.size + node.size + span.bytes + numbers[0] + (texts[0] != NULL);
}
