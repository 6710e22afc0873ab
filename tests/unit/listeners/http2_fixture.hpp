#pragma once

#include "base/handle.hpp"
#include "doh_fixture.hpp"

#include <nghttp2/nghttp2.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// What the tests of HTTP/2 share: a client in memory, frames made by hand, and a session between them.
namespace sallyport::listeners::testing {

using Fields = std::vector<std::pair<std::string, std::string>>;

/// nghttp2's client, in memory: what a browser or curl would make of our frames.
class Http2Client {
public:
    struct Response {
        std::map<std::string, std::string> header;
        std::string body;
        bool closed = false;
        std::uint32_t error = 0;
        [[nodiscard]] std::string status() const { return header.contains(":status") ? header.at(":status") : ""; }
    };

    explicit Http2Client(const std::vector<nghttp2_settings_entry>& entries = {})
    {
        nghttp2_session_callbacks* callbacks = nullptr;
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(
            callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                          const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* self) {
                auto& header = static_cast<Http2Client*>(self)->responses[frame->hd.stream_id].header;
                header[std::string(name, name + name_size)] = std::string(value, value + value_size);
                return 0;
            });
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
            callbacks, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
                          void* self) {
                static_cast<Http2Client*>(self)->responses[id].body.append(data, data + size);
                return 0;
            });
        nghttp2_session_callbacks_set_on_stream_close_callback(
            callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t error, void* self) {
                auto& response = static_cast<Http2Client*>(self)->responses[id];
                response.closed = true;
                response.error = error;
                return 0;
            });
        nghttp2_session_callbacks_set_on_frame_recv_callback(
            callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
                auto& client = *static_cast<Http2Client*>(self);
                if (frame->hd.type == NGHTTP2_GOAWAY) client.goaways.push_back(frame->goaway.error_code);
                if (frame->hd.type == NGHTTP2_GOAWAY) client.last_streams.push_back(frame->goaway.last_stream_id);
                if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) ++client.pongs;
                if (frame->hd.type == NGHTTP2_SETTINGS && frame->hd.flags == 0) {
                    for (std::size_t i = 0; i < frame->settings.niv; ++i) {
                        client.settings[frame->settings.iv[i].settings_id] = frame->settings.iv[i].value;
                    }
                }
                return 0;
            });
        nghttp2_option* option = nullptr;
        nghttp2_option_new(&option);
        nghttp2_option_set_peer_max_concurrent_streams(option, 10'000);
        nghttp2_session_client_new2(&raw, callbacks, this, option);
        nghttp2_option_del(option);
        nghttp2_session_callbacks_del(callbacks);
        handle.reset(raw);
        nghttp2_submit_settings(raw, NGHTTP2_FLAG_NONE, entries.data(), entries.size());
    }

    /// Submits a request; `body` is sent whole, and kept until it has left.
    std::int32_t request(const Fields& fields, const std::optional<Octets>& body = std::nullopt, bool end = true)
    {
        std::vector<nghttp2_nv> nv;
        for (const auto& [name, value] : fields) nv.push_back(to_nv(name, value));
        if (!body) return nghttp2_submit_request(raw, nullptr, nv.data(), nv.size(), nullptr, nullptr);
        bodies.push_back(std::make_unique<Body>(Body{*body, 0, end}));
        nghttp2_data_provider provider{};
        provider.source.ptr = bodies.back().get();
        provider.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t room,
                                    std::uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
            Body& its = *static_cast<Body*>(source->ptr);
            const std::size_t size = std::min(room, its.octets.size() - its.sent);
            std::copy_n(its.octets.begin() + static_cast<std::ptrdiff_t>(its.sent), size, out);
            its.sent += size;
            if (its.sent == its.octets.size() && its.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
            return size == 0 && !its.end ? static_cast<ssize_t>(NGHTTP2_ERR_DEFERRED) : static_cast<ssize_t>(size);
        };
        return nghttp2_submit_request(raw, nullptr, nv.data(), nv.size(), &provider, nullptr);
    }

    static Fields get(const std::string& path)
    {
        return {{":method", "GET"},
                {":scheme", "https"},
                {":authority", "gate.test"},
                {":path", path},
                {"accept", "application/dns-message"}};
    }
    static Fields post(const std::string& type = "application/dns-message")
    {
        Fields fields{{":method", "POST"}, {":scheme", "https"}, {":authority", "gate.test"}, {":path", "/dns-query"}};
        if (!type.empty()) fields.emplace_back("content-type", type);
        return fields;
    }

    std::map<std::int32_t, Response> responses;
    std::map<int, std::uint32_t> settings;
    std::vector<std::uint32_t> goaways;
    std::vector<std::int32_t> last_streams;
    unsigned pongs = 0;
    nghttp2_session* raw = nullptr;

private:
    struct Body {
        Octets octets;
        std::size_t sent;
        bool end;
    };
    static nghttp2_nv to_nv(const std::string& name, const std::string& value)
    {
        const auto octets = [](const std::string& text) {
            return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
        };
        return {octets(name), octets(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
    }

    base::Handle<nghttp2_session, nghttp2_session_del> handle;
    std::vector<std::unique_ptr<Body>> bodies;
};

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline constexpr std::uint8_t kEndStream = 1, kEndHeaders = 4, kAck = 1;

/// A frame as it goes over the wire.
inline Octets frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, const Octets& payload = {})
{
    Octets octets{static_cast<std::uint8_t>(payload.size() >> 16),
                  static_cast<std::uint8_t>(payload.size() >> 8),
                  static_cast<std::uint8_t>(payload.size()),
                  type,
                  flags,
                  static_cast<std::uint8_t>(stream >> 24),
                  static_cast<std::uint8_t>(stream >> 16),
                  static_cast<std::uint8_t>(stream >> 8),
                  static_cast<std::uint8_t>(stream)};
    octets.insert(octets.end(), payload.begin(), payload.end());
    return octets;
}

inline Octets operator+(Octets left, const Octets& right)
{
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

/// Literal without indexing, new name (RFC 7541 §6.2.2).
inline Octets literal(const std::string& name, const std::string& value)
{
    Octets octets{0, static_cast<std::uint8_t>(name.size())};
    octets.insert(octets.end(), name.begin(), name.end());
    octets.push_back(static_cast<std::uint8_t>(value.size()));
    octets.insert(octets.end(), value.begin(), value.end());
    return octets;
}

/// The header block of GET for `path` (short): static table for method and scheme.
inline Octets get_block(const std::string& path)
{
    return Octets{0x82, 0x87} + literal(":path", path) + literal(":authority", "gate.test");
}

class Http2Test : public DohTest {
protected:
    void start(std::vector<nghttp2_settings_entry> settings = {})
    {
        session.reset();
        remake_pipeline();
        session = make_http2_session(*channel, context, clock.now());
        client = std::make_unique<Http2Client>(std::move(settings));
    }

    /// Carries octets both ways until both are quiet.
    void pump()
    {
        for (int round = 0; round < 1'000; ++round) {
            const std::uint8_t* octets = nullptr;
            const ssize_t size = channel->over() ? 0 : nghttp2_session_mem_send(client->raw, &octets);
            ASSERT_GE(size, 0);
            if (size > 0) {
                EXPECT_EQ(session->received({octets, static_cast<std::size_t>(size)}, clock.now()),
                          static_cast<std::size_t>(size));
            }
            const bool moved = receive() || size > 0;
            if (!moved) return;
        }
        FAIL() << "never quiet";
    }

    bool receive()
    {
        if (channel->stuck) return false;
        const Octets back = channel->take();
        if (!back.empty()) {
            EXPECT_EQ(nghttp2_session_mem_recv(client->raw, back.data(), back.size()),
                      static_cast<ssize_t>(back.size()));
        }
        if (!channel->over()) session->progressed(clock.now());
        return !back.empty() || !channel->out.empty();
    }

    /// Begins a connection by hand: preface and empty SETTINGS.
    void start_raw()
    {
        start();
        const Octets magic(kPreface.begin(), kPreface.end());
        give(magic + frame(4, 0, 0) + frame(4, kAck, 0));
        written();
    }
    void give(const Octets& octets) { static_cast<void>(session->received(octets, clock.now())); }

    struct Frame {
        std::uint8_t type, flags;
        std::uint32_t stream;
        Octets payload;
    };
    /// The frames that were written since.
    std::vector<Frame> written()
    {
        const Octets octets = channel->take();
        std::vector<Frame> frames;
        for (std::size_t at = 0; at + 9 <= octets.size();) {
            const std::size_t size = base::load_be32(octets, at) >> 8U;
            frames.push_back(
                {octets[at + 3], octets[at + 4], base::load_be32(octets, at + 5),
                 Octets(octets.begin() + static_cast<std::ptrdiff_t>(at + 9),
                        octets.begin() + static_cast<std::ptrdiff_t>(std::min(octets.size(), at + 9 + size)))});
            at += 9 + size;
        }
        return frames;
    }
    /// The error of the GOAWAY that was written since, or -1.
    std::int64_t goaway()
    {
        std::int64_t error = -1;
        for (const Frame& its : written()) {
            if (its.type == 7) error = base::load_be32(its.payload, 4);
        }
        return error;
    }

    Http2Client::Response& ask(const Fields& fields, const std::optional<Octets>& body = std::nullopt)
    {
        const std::int32_t id = client->request(fields, body);
        EXPECT_GT(id, 0);
        pump();
        return client->responses[id];
    }

    const Octets query = dns_query(0x1234);
    std::unique_ptr<StreamSession> session;
    std::unique_ptr<Http2Client> client;
};

} // namespace sallyport::listeners::testing
