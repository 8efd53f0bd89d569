// SPDX-License-Identifier: Apache-2.0
// The same greeting from C++17: a node as a value that cleans up after itself, and a reply as a lambda.
//
//   c++ -std=c++17 greet_cpp.cpp $(pkg-config --cflags --libs weft) -o greet_cpp && ./greet_cpp
//
// Exit codes: 0 greeted, 1 something failed (one line on stderr says what).
#include <future>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include <weft/weft.h>

namespace
{

constexpr std::uint64_t greet = 1;

struct NodeEnd {
    void operator()(weft_node *node) const
    {
        weft_node_destroy(node);
    } // drains, waits and frees
};
using Node = std::unique_ptr<weft_node, NodeEnd>;

weft_span span_of(std::string_view text)
{
    return {reinterpret_cast<const std::uint8_t *>(text.data()), static_cast<std::uint32_t>(text.size())};
}

void check(weft_err err, const weft_error &why)
{
    if (err != WEFT_OK) {
        throw std::runtime_error(std::string(weft_err_name(err)) + ": " + why.text);
    }
}

Node make_node(const weft_node_options &options)
{
    weft_node *made = nullptr;
    weft_error why{};
    check(weft_node_create(&made, &options, &why), why);
    return Node(made);
}

// What the client's shard is given.  Exceptions must not leave a callback: weft is C.
struct Greeting {
    std::string text;
    std::promise<std::string> reply;
};

void on_ready(void *ctx, weft_shard *shard)
{
    auto *greeting = static_cast<Greeting *>(ctx);
    auto on_reply = [](void *to, weft_err err, const struct weft_reply *reply) {
        const auto *data = reinterpret_cast<const char *>(reply->payload.data);
        static_cast<Greeting *>(to)->reply.set_value(err == WEFT_OK ? std::string(data, reply->payload.bytes) : "");
    };
    weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    weft_peer_id server = weft_peer_find(shard, "127.0.1.7");
    if (weft_call(shard, server, greet, span_of(greeting->text), &options, on_reply, greeting) != WEFT_OK) {
        greeting->reply.set_value("");
    }
}

std::string greet_once()
{
    weft_error why{};
    weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    options.shards = "1";
    options.listen_address = "127.0.1.7";
    Node server = make_node(options);
    auto on_greet = [](void *, weft_request *request) { weft_reply(request, weft_request_payload(request)); };
    check(weft_node_handle(server.get(), greet, on_greet, nullptr, &why), why);
    check(weft_node_start(server.get(), nullptr, nullptr, &why), why);

    weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    peer.addresses[0] = "127.0.1.7";
    options.listen_address = "127.0.1.8";
    options.client_only = true;
    options.peers = &peer;
    options.peer_count = 1;
    Greeting greeting{"hello from C++", {}};
    Node client = make_node(options);
    check(weft_node_start(client.get(), on_ready, &greeting, &why), why);
    return greeting.reply.get_future().get();
}

} // namespace

int main()
{
    try {
        std::string reply = greet_once();
        std::cout << reply << '\n';
        return reply.empty() ? 1 : 0;
    } catch (const std::exception &failure) {
        std::cerr << failure.what() << '\n';
        return 1;
    }
}
