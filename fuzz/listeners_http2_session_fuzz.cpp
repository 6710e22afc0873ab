// fuzz: links sallyport_listeners
#include "base/handle.hpp"
#include "listeners_http_session_harness.hpp"

#include <nghttp2/nghttp2.h>

#include <string_view>

using namespace sallyport;

namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Our frames, taken apart by hand: the client's own state is unknown, but the framing must be whole and its kinds
/// ours.
void expect_frames(base::Bytes out)
{
    std::size_t at = 0;
    bool first = true;
    while (at < out.size()) {
        fuzz::expect(out.size() - at >= 9);
        const std::size_t size = base::load_be32(out, at) >> 8U;
        const std::uint8_t type = out[at + 3];
        fuzz::expect(size <= 16'384 && out.size() - at - 9 >= size);
        fuzz::expect(!first || type == NGHTTP2_SETTINGS); // RFC 9113 §3.4
        fuzz::expect(type <= NGHTTP2_CONTINUATION && type != NGHTTP2_PRIORITY && type != NGHTTP2_PUSH_PROMISE);
        first = false;
        at += 9 + size;
    }
}

/// The header blocks decode in order.
void expect_headers(base::Bytes out)
{
    using Inflater = base::Handle<nghttp2_hd_inflater, nghttp2_hd_inflate_del>;
    nghttp2_hd_inflater* raw = nullptr;
    if (nghttp2_hd_inflate_new(&raw) != 0) return;
    const Inflater inflater{raw};
    for (std::size_t at = 0; at < out.size();) {
        const std::size_t size = base::load_be32(out, at) >> 8U;
        const base::Bytes payload = out.subspan(at + 9, size);
        if (out[at + 3] == NGHTTP2_HEADERS) {
            for (std::size_t used = 0; used < payload.size();) {
                nghttp2_nv field{};
                int flags = 0;
                const ssize_t step =
                    nghttp2_hd_inflate_hd2(raw, &field, &flags, payload.data() + used, payload.size() - used, 1);
                fuzz::expect(step >= 0);
                used += static_cast<std::size_t>(step);
                if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
            }
            fuzz::expect(nghttp2_hd_inflate_end_headers(raw) == 0);
        }
        at += 9 + size;
    }
}

} // namespace

/// Octets of a client after its preface (with bit 7 of the first octet: the preface too).
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static fuzz::Gateway gateway;
    if (size == 0) return 0;
    fuzz::Channel channel{gateway.worker, gateway.pipeline};
    const std::uint64_t answers_before = gateway.stats.answers.get();
    const std::uint64_t requests_before = gateway.requests();
    bool resized = false;
    {
        const auto session = listeners::make_http2_session(channel, gateway.context, gateway.clock.now());
        std::vector<std::uint8_t> input;
        if ((data[0] & 0x80U) == 0) input.assign(kPreface.begin(), kPreface.end());
        input.insert(input.end(), data + 1, data + size);
        fuzz::feed(gateway, channel, *session, input, data[0] & 0x7FU);
        // A client that sets its table's size or ours may make the decoding below differ.
        resized = base::as_text(input).find(std::string_view{"\x00\x01", 2}) != std::string_view::npos;
        for (int i = 0; i < 20 && !channel.over; ++i) {
            gateway.clock.advance(std::chrono::seconds{30});
            session->tick(gateway.clock.now());
        }
        fuzz::expect(channel.over); // whatever was begun has a deadline
    }
    fuzz::expect(gateway.stats.answers.get() - answers_before <= gateway.requests() - requests_before);
    fuzz::expect(gateway.budget.bodies.held() == 0 && gateway.budget.answers.held() == 0);
    expect_frames(channel.out);
    if (!resized) expect_headers(channel.out);
    return 0;
}
