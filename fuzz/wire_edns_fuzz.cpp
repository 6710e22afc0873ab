// fuzz: links sallyport_wire
#include "wire/edns.hpp"
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"

#include <array>
#include <cstdlib>

using namespace sallyport;
using namespace sallyport::wire;

namespace {

void require(bool holds)
{
    if (!holds) std::abort();
}

bool same(const std::optional<base::Bytes>& left, const std::optional<base::Bytes>& right)
{
    return left.has_value() == right.has_value() && (!left || base::equal(*left, *right));
}

} // namespace

// The input is the RDATA of OPT. What reads well is written option by option and reads back as the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > 60'000) return 0;
    const base::Bytes rdata{data, size};
    const auto edns = read_edns(rdata, 1232, 0x8000);
    if (!edns) return 0;
    if (edns->client_subnet) static_cast<void>(read_client_subnet(*edns->client_subnet));

    static std::array<std::uint8_t, kMaxMessageSize> buffer;
    MessageWriter writer{buffer, buffer.size()};
    require(writer.begin_opt(1232, true));
    EdnsOptions options{rdata};
    while (const auto option = options.next()) require(writer.option(option->code, option->data));
    writer.end_opt();

    const auto message = MessageView::parse(writer.message());
    require(message && message->edns() != nullptr);
    const EdnsView& again = *message->edns();
    require(again.dnssec_ok && again.udp_payload_size == 1232 && base::equal(again.options, rdata));
    require(same(again.cookie, edns->cookie) && same(again.client_subnet, edns->client_subnet));
    require(same(again.padding, edns->padding) && again.nsid == edns->nsid);
    require(again.tcp_keepalive == edns->tcp_keepalive);
    return 0;
}
