#include "admin/log_event.hpp"

#include "admin/json.hpp"
#include "wire/message_view.hpp"
#include "wire/name.hpp"
#include "wire/rdata.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <type_traits>

namespace sallyport::admin {
namespace {

/// The part of an event whose size is fixed; qname, upstream, rule and answer follow it in this order.
struct Head {
    std::uint64_t id = 0;
    std::int64_t arrival = 0; ///< nanoseconds of the monotonic clock
    std::int64_t took = 0;
    std::array<std::uint8_t, 16> address{};
    std::uint16_t qtype = 0, rcode = 0;
    std::uint16_t answer_size = 0;
    std::uint8_t address_size = 4;
    std::uint8_t transport = 0, source = 0;
    std::uint8_t qname_size = 0, upstream_size = 0, rule_size = 0;
    std::uint8_t dropped = 0;
};
static_assert(std::is_trivially_copyable_v<Head>);

constexpr std::size_t kMostText = 255;

base::Bytes cut(std::string_view text) noexcept { return base::as_bytes(text.substr(0, kMostText)); }

void append_number(std::string& out, auto number)
{
    std::array<char, 24> room{};
    const auto end = std::to_chars(room.data(), room.data() + room.size(), number);
    out.append(room.data(), end.ptr);
}

/// With leading zeros.
void append_digits(std::string& out, long long number, int digits)
{
    std::array<char, 8> room{};
    for (int i = digits; i-- > 0; number /= 10)
        room[static_cast<std::size_t>(i)] = static_cast<char>('0' + number % 10);
    out.append(room.data(), static_cast<std::size_t>(digits));
}

void append_hex64(std::string& out, std::uint64_t number)
{
    constexpr std::string_view kDigits = "0123456789abcdef";
    for (int shift = 60; shift >= 0; shift -= 4) out += kDigits[(number >> static_cast<unsigned>(shift)) & 0xFU];
}

void append_text_or_null(std::string& out, std::string_view text)
{
    if (text.empty())
        out += "null";
    else
        append_json(out, text);
}

void append_client(std::string& out, const base::IpAddress& client, Mask mask)
{
    const auto shown = masked(client, mask);
    append_text_or_null(out, shown ? shown->to_string() : std::string{});
}

/// The records of the answer section: `["A 192.0.2.80", …]`.
void append_records(std::string& out, base::Bytes answer)
{
    const auto message = wire::MessageView::parse(answer);
    if (!message) {
        out += "null";
        return;
    }
    out += '[';
    std::vector<std::uint8_t> rdata;
    bool first = true;
    for (const auto& record : message->answers()) {
        rdata.clear();
        if (!wire::decompress_rdata(answer, record.rdata_offset, static_cast<std::uint16_t>(record.rdata.size()),
                                    record.type, rdata))
            continue;
        if (!first) out += ',';
        first = false;
        append_json(out, wire::to_string(record.type) + ' ' + wire::rdata_to_text(record.type, rdata));
    }
    out += ']';
}

} // namespace

void LogObserver::ended(const pipeline::Query& query, base::Bytes answer, wire::Rcode rcode,
                        base::Duration took) noexcept
{
    if (!enabled_.load(std::memory_order_relaxed)) return;
    const auto qname = query.qname.wire();
    const auto upstream = cut(query.upstream);
    const auto rule = cut(query.rule);
    const bool keep = with_answer_.load(std::memory_order_relaxed) && answer.size() <= kMostAnswer;
    const auto kept = keep ? answer : base::Bytes{};
    const auto address = query.client.peer.address.octets();

    Head head;
    head.id = query.id;
    head.arrival = std::chrono::nanoseconds{query.arrival.time_since_epoch()}.count();
    head.took = std::chrono::nanoseconds{took}.count();
    std::copy(address.begin(), address.end(), head.address.begin());
    head.address_size = static_cast<std::uint8_t>(address.size());
    head.qtype = static_cast<std::uint16_t>(query.qtype);
    head.rcode = static_cast<std::uint16_t>(rcode);
    head.answer_size = static_cast<std::uint16_t>(kept.size());
    head.transport = static_cast<std::uint8_t>(query.client.transport);
    head.source = static_cast<std::uint8_t>(query.source);
    head.qname_size = static_cast<std::uint8_t>(qname.size());
    head.upstream_size = static_cast<std::uint8_t>(upstream.size());
    head.rule_size = static_cast<std::uint8_t>(rule.size());
    head.dropped = answer.empty() ? 1 : 0;
    const base::Bytes fixed{reinterpret_cast<const std::uint8_t*>(&head), sizeof head};
    if (ring_->push({fixed, qname, upstream, rule, kept}))
        ++events_;
    else
        ++dropped_;
}

std::optional<LogEvent> read_event(base::Bytes octets) noexcept
{
    Head head;
    if (octets.size() < sizeof head) return std::nullopt;
    std::memcpy(&head, octets.data(), sizeof head);
    octets = octets.subspan(sizeof head);
    const std::size_t texts = std::size_t{head.qname_size} + head.upstream_size + head.rule_size;
    if (octets.size() != texts + head.answer_size || head.address_size > head.address.size() ||
        head.transport >= base::kTransports)
        return std::nullopt;
    const auto take = [&octets](std::size_t size) {
        const auto taken = octets.first(size);
        octets = octets.subspan(size);
        return taken;
    };
    LogEvent event;
    event.id = head.id;
    event.arrival = base::Instant{std::chrono::duration_cast<base::Duration>(std::chrono::nanoseconds{head.arrival})};
    event.took = std::chrono::duration_cast<base::Duration>(std::chrono::nanoseconds{head.took});
    event.client = base::IpAddress::from_octets({head.address.data(), head.address_size});
    event.transport = static_cast<base::Transport>(head.transport);
    event.source = static_cast<pipeline::Source>(head.source);
    event.qtype = static_cast<wire::RrType>(head.qtype);
    event.rcode = static_cast<wire::Rcode>(head.rcode);
    event.dropped = head.dropped != 0;
    event.qname = take(head.qname_size);
    event.upstream = base::as_text(take(head.upstream_size));
    event.rule = base::as_text(take(head.rule_size));
    event.answer = take(head.answer_size);
    return event;
}

std::optional<base::IpAddress> masked(const base::IpAddress& address, Mask mask) noexcept
{
    if (mask == Mask::all) return std::nullopt;
    if (mask == Mask::none) return address;
    return base::Prefix{address, address.is_v4() ? 24U : 48U}.address();
}

void append_time(std::string& out, base::WallTime wall)
{
    const auto days = std::chrono::floor<std::chrono::days>(wall);
    const std::chrono::year_month_day date{days};
    const std::chrono::hh_mm_ss time{std::chrono::floor<std::chrono::milliseconds>(wall - days)};
    append_digits(out, static_cast<int>(date.year()), 4);
    out += '-';
    append_digits(out, static_cast<unsigned>(date.month()), 2);
    out += '-';
    append_digits(out, static_cast<unsigned>(date.day()), 2);
    out += 'T';
    append_digits(out, time.hours().count(), 2);
    out += ':';
    append_digits(out, time.minutes().count(), 2);
    out += ':';
    append_digits(out, time.seconds().count(), 2);
    out += '.';
    append_digits(out, time.subseconds().count(), 3);
    out += 'Z';
}

void append_line(std::string& out, const LogEvent& event, base::WallTime wall, const LineStyle& style)
{
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(event.took).count();
    const auto qname = wire::Name::from_wire(event.qname);
    out += "{\"timestamp\":\"";
    append_time(out, wall);
    out += "\",\"request_id\":\"";
    append_hex64(out, event.id);
    out += "\",\"client_ip\":";
    append_client(out, event.client, style.mask);
    out += ",\"transport\":";
    append_json(out, base::to_string(event.transport));
    out += ",\"query_type\":";
    append_json(out, wire::to_string(event.qtype));
    out += ",\"domain\":";
    append_text_or_null(out, qname ? qname->to_text() : std::string{});
    out += ",\"response_code\":";
    append_text_or_null(out, event.dropped ? std::string{} : wire::to_string(event.rcode));
    out += ",\"response_time_ms\":";
    append_number(out, std::max<long long>(microseconds, 0) / 1000);
    out += '.';
    append_digits(out, std::max<long long>(microseconds, 0) % 1000, 3);
    const bool hit = event.source == pipeline::Source::cache || event.source == pipeline::Source::stale_cache;
    out += hit ? ",\"cache_hit\":true" : ",\"cache_hit\":false";
    out += ",\"upstream_server\":";
    append_text_or_null(out, event.upstream);
    out += ",\"response_data\":";
    if (style.response_data && !event.answer.empty())
        append_records(out, event.answer);
    else
        out += "null";
    out += ",\"rule\":";
    append_text_or_null(out, event.rule);
    out += '}';
}

} // namespace sallyport::admin
