/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the block weft that say how long a peer may take, and what its sockets are told.
 *
 * Happy path: a time or a number becomes an option; 0 turns the limit off.
 *
 * Failure modes: what the kernel's options cannot say is an error here, so that nothing is cut short silently. */
#include "config/config_decoder.h"

/* Times of sockets are in whole seconds, of at most so many: the kernel's limit. */
#define KEEPALIVE_S_MAX UINT64_C(32767)
#define KEEPALIVE_COUNT_MAX UINT64_C(127)
#define UNSENT_BYTES_MAX UINT64_C(0x7fffffff)
#define MS_PER_S 1000u

/* A time that 0 turns off. */
static void limit_time(struct config_decoder *decoder, const struct yaml_node *value, uint32_t *to)
{
    uint32_t ms;
    if (decoder_time_ms(decoder, value, &ms)) {
        *to = ms == 0 ? UINT32_MAX : ms;
    }
}

/* The same in whole seconds, rounded up. */
static void limit_seconds(struct config_decoder *decoder, const struct yaml_node *value, uint32_t *to)
{
    uint32_t ms;
    if (!decoder_time_ms(decoder, value, &ms)) {
        return;
    }
    uint64_t seconds = ((uint64_t)ms + MS_PER_S - 1) / MS_PER_S;
    if (seconds > KEEPALIVE_S_MAX) {
        decoder_error(decoder, value, "\"%.64s\" is too long for TCP; 32767s is the most", value->text);
        return;
    }
    *to = seconds == 0 ? UINT32_MAX : (uint32_t)seconds;
}

void decoder_weft_frame_timeout(struct config_decoder *decoder, const struct yaml_node *value)
{
    limit_time(decoder, value, &decoder->config->options.frame_timeout_ms);
}

void decoder_weft_send_timeout(struct config_decoder *decoder, const struct yaml_node *value)
{
    limit_time(decoder, value, &decoder->config->options.send_timeout_ms);
}

void decoder_weft_first_request_timeout(struct config_decoder *decoder, const struct yaml_node *value)
{
    limit_time(decoder, value, &decoder->config->options.first_request_timeout_ms);
}

void decoder_weft_tcp_user_timeout(struct config_decoder *decoder, const struct yaml_node *value)
{
    limit_time(decoder, value, &decoder->config->options.tcp_user_timeout_ms);
}

void decoder_weft_tcp_keepalive_idle(struct config_decoder *decoder, const struct yaml_node *value)
{
    limit_seconds(decoder, value, &decoder->config->options.tcp_keepalive_idle_s);
}

void decoder_weft_tcp_keepalive_interval(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint32_t seconds = 0;
    limit_seconds(decoder, value, &seconds);
    if (seconds == UINT32_MAX) {
        decoder_error(decoder, value, "0 would be no interval; tcp_keepalive_idle: 0s turns probes off");
        return;
    }
    decoder->config->options.tcp_keepalive_interval_s = seconds;
}

void decoder_weft_tcp_keepalive_count(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint64_t count;
    if (decoder_number(decoder, value, 1, KEEPALIVE_COUNT_MAX, &count)) {
        decoder->config->options.tcp_keepalive_count = (uint32_t)count;
    }
}

void decoder_weft_tcp_unsent_bytes_max(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint64_t bytes;
    if (!decoder_size(decoder, value, &bytes)) {
        return;
    }
    if (bytes > UNSENT_BYTES_MAX) {
        decoder_error(decoder, value, "\"%.64s\" is more than TCP can be told; 2147483647 is the most", value->text);
        return;
    }
    decoder->config->options.tcp_unsent_bytes_max = bytes == 0 ? UINT32_MAX : (uint32_t)bytes;
}
