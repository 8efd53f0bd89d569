/* SPDX-License-Identifier: Apache-2.0 */
/* Every fixed limit of the engine, named by holder, with where it comes from. */
#ifndef ENGINE_BASE_LIMITS_H
#define ENGINE_BASE_LIMITS_H

#include <weft/call.h>
#include <weft/defs.h>

/* Shards of one node: what fits the 12 bits that handles and mailbox tables give a shard index; far above one
 * machine's cores. */
#define SHARDS_MAX 256u

/* A send buffer: holds a whole turn of common messages (128 calls of 92 bytes), and 16 of them make the 256 KiB
 * that a bulk send needs to reach the speed of a plain loop. */
#define SEND_BUF_BYTES (16u * 1024)
/* Buffers of one send operation: 16 x 16 KiB = 256 KiB. */
#define SEND_BUFS_MAX 16u
/* Unsent bytes that one connection may queue; a message that goes over it is let in behind at most
 * SEND_QUEUE_BYTES_HIGH, so that an acceptor that stopped reading there can still queue the answer at hand. */
#define SEND_QUEUE_BYTES_MAX (4u * 1024 * 1024)
/* Above this an acceptor stops reading the connection whose replies pile up; below half of it reading goes on. */
#define SEND_QUEUE_BYTES_HIGH (1u * 1024 * 1024)

/* Of a shard's send buffers one part in so many is kept for answers, and another for the control lane: peers that take
 * nothing must not cost the shard its heartbeats. */
#define SEND_RESERVE_PARTS 8u

/* Counted payloads of a shard (weft_buf), and parts of them that queues refer to: as many as requests that can be in
 * flight.  Parts are of at least 16 KiB when they are queued, so together they are more than may be queued. */
#define PAYLOADS_MAX 16384u
/* Bytes that one send operation takes: as much as its buffers hold. */
#define SEND_BYTES_MAX (SEND_BUFS_MAX * SEND_BUF_BYTES)

/* Room that must be there before a request is taken, so that it can be answered at least by a failure with the longest
 * text. */
#define ANSWER_BYTES_MIN 512u
/* Bytes of a connection that arrived and wait for their turn: above this reading stops. */
#define HELD_BYTES_HIGH (256u * 1024)
/* Of a shard's arena one part in so many is left to bytes that arrived already and to negotiations: frames that are yet
 * to be read and answers that wait must not cost a connection. */
#define ARENA_RESERVE_PARTS 4u
/* One source may hold one part in so many of the arena with frames that have not ended, while twice as much is in use:
 * half a dozen slow writers of large frames must not take the room of everybody's. */
#define SOURCE_SHARE_PARTS 4u
/* One source may hold so many times as many requests as there are slots left: one alone four fifths of them, two four
 * ninths each. */
#define SOURCE_REQUESTS_PER_FREE 4u
/* Counters of the requests that sources hold.  Sources with the same one have one share together; a request names it by
 * a byte. */
#define REQUEST_SOURCES 256u
/* Bytes that a bulk connection moves with one operation while others are active: some 10 us of copying. */
#define SHARE_BYTES_BESIDE (64u * 1024)
/* A shard counts as active for so long after something other than bulk was flushed. */
#define LIVELY_NS UINT64_C(100000000)
/* Zero-copy sends of a shard that the kernel may still be reading. */
#define ZERO_COPY_SENDS_MAX 1024u
/* A payload lands directly when at least so much of it is still to come as its header is read. */
#define LAND_BYTES_WANTED (64u * 1024)

/* A receive buffer lent by the backend: 16 KiB was as fast as 64 KiB and stays in the cache. */
#define RECV_BUF_BYTES (16u * 1024)
/* Receive buffers of a shard; a power of two, as buffer rings demand. */
#define RECV_BUFS_DEFAULT 256u

/* A negotiation frame's records: a sane peer needs under 1 KiB, a hello with four longest names 1,100 bytes. */
#define NEGOTIATION_BYTES_MAX 4096u
/* Records in a negotiation. */
#define NEGOTIATION_RECORDS_MAX 256u
/* An isolation cookie that is remembered and echoed. */
#define COOKIE_BYTES_MAX 256u

/* Largest payload of a frame. */
#define FRAME_BYTES_MAX WEFT_PAYLOAD_BYTES_MAX
/* Largest header of a request (timeout, verb, id, length). */
#define FRAME_HEADER_BYTES_MAX 28u
/* Text of a USER exception that is sent. */
#define EXCEPTION_TEXT_BYTES_MAX 255u

/* Budgets of one turn, per phase: enough for a full batch, short enough that no phase starves another. */
#define TURN_COMPLETIONS_MAX 256u
/* Batches of completions more in a turn that has no time left to act on them: the kernel completes some 20 receives at
 * a time, and what it keeps for the next time has no time of arrival. */
#define TURN_CATCH_UPS_MAX 64u
#define TURN_MAILS_MAX 256u
#define TURN_TIMERS_MAX 1024u
#define TURN_TASKS_MAX 256u
/* Connections that one listener accepts in a turn; those that were on their way come on top. */
#define TURN_ACCEPTS_MAX 64u
/* TLS handshakes of accepted connections at once: a handshake costs up to a millisecond, and waits for the network in
 * between.  So many are a thousand in a second over 200 ms of network, and a quarter of a second of work at the worst.
 */
#define HANDSHAKES_MAX 256u
/* So many that were put first begin before one of the others does. */
#define HANDSHAKES_FIRST_ROW 7u
/* Messages of TLS that a peer may send beside its data after the handshake, such as new keys: each costs more than a
 * record, and opening goes on until there is data.  So many, and one more for so many records of data. */
#define TLS_MESSAGES_MAX 64u
#define TLS_MESSAGE_RECORDS 1024u
/* Certificates that are compared with a changed topology in one turn: a millisecond or two. */
#define TURN_JUDGEMENTS_MAX 32u
/* What one connection may have of a turn: so many frames, which are so many handlers, and so many bytes, which is more
 * than the kernel gives for one socket at a time.  What arrived beyond that waits for the next turn. */
#define TURN_CONN_FRAMES_MAX 256u
#define TURN_CONN_BYTES_MAX (1024u * 1024)
/* Frames of a shard between two looks at the clock: deadlines stay true in a turn of slow handlers. */
#define TURN_CLOCK_FRAMES 32u
/* What all frames of a turn together may take: after so much time what arrived is only held, with the time of its
 * arrival.  A turn is then as old as what it finds in the kernel can be, and short against the deadlines of calls. */
#define TURN_FRAMES_NS UINT64_C(2000000)
/* Of the arena's reserve one part in so many is for bytes that wait for their turn; in twice as much nothing more is
 * put aside, and frames are taken however long the turn gets. */
#define HELD_RESERVE_PARTS 4u
/* A shard that never sleeps looks so often for something to do before it asks the clock whether a timer is due: some
 * 0.2 us. */
#define TURN_LOOKS 16u
/* While something waits for memory, the shard looks at least this often. */
#define STARVED_RETRY_NS UINT64_C(1000000)

/* Messages waiting between one pair of threads; a power of two. */
#define MAILBOX_SLOTS 1024u

/* A host that runs a shard so much later than its timers asked for has let its peers wait. */
#define HOST_LATE_NS UINT64_C(1000000000)

/* Foreign threads of a node: few are registered, and each has two rings per shard. */
#define FOREIGNS_MAX 16u
/* What a foreign thread has under way, each with one answer that must find room; and what it is sent besides. */
#define FOREIGN_CALLS_MAX 1024u
#define FOREIGN_NOTES_MAX 1024u

/* Slots of a node's verb table; a power of two, at most three quarters used. */
#define VERB_SLOTS 256u
#define VERBS_MAX 192u

_Static_assert(SEND_QUEUE_BYTES_HIGH < SEND_QUEUE_BYTES_MAX, "reading must stop before the queue overflows");
_Static_assert((RECV_BUFS_DEFAULT & (RECV_BUFS_DEFAULT - 1)) == 0, "a buffer ring has a power of two of buffers");
_Static_assert((MAILBOX_SLOTS & (MAILBOX_SLOTS - 1)) == 0, "ring indices are masked");
_Static_assert((VERB_SLOTS & (VERB_SLOTS - 1)) == 0 && VERBS_MAX < VERB_SLOTS, "a probe must end at an empty slot");

#endif
