#include "apps/cache_api.hpp"

#include "wire/rdata.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

namespace sallyport::apps {
namespace {

namespace json = boost::json;
using admin::Request;
using admin::Response;

constexpr std::uint64_t kUsuallyListed = 1000;

Response json_answer(const json::value& value) { return {200, "application/json", json::serialize(value) + '\n'}; }

const std::string* parameter(const Request& request, std::string_view key)
{
    const auto found = request.parameters.find(key);
    return found == request.parameters.end() || found->second.empty() ? nullptr : &found->second;
}

Response no_name(std::string_view text)
{
    return admin::error_response(400, "'" + std::string{text.substr(0, 300)} + "' is no domain name");
}

std::string_view to_word(wire::ValidationState state)
{
    switch (state) {
    case wire::ValidationState::unchecked: return "unchecked";
    case wire::ValidationState::secure: return "secure";
    case wire::ValidationState::insecure: return "insecure";
    case wire::ValidationState::bogus: return "bogus";
    case wire::ValidationState::indeterminate: return "indeterminate";
    }
    return "unchecked";
}

json::object to_json(const cache::Listed& entry)
{
    using Seconds = std::chrono::duration<double>;
    return {{"name", entry.qname.to_text()},
            {"type", wire::to_string(entry.key.qtype)},
            {"class", wire::to_string(entry.key.qclass)},
            {"dnssec_ok", entry.key.dnssec_ok},
            {"checking_disabled", entry.key.checking_disabled},
            {"partition", entry.key.partition},
            {"rcode", wire::to_string(entry.rcode)},
            {"validation", to_word(entry.validation)},
            {"left_seconds", std::chrono::duration_cast<Seconds>(entry.left).count()},
            {"hits", entry.hits},
            {"octets", entry.octets}};
}

void append_section(json::array& out, const wire::MessageView& message, const wire::RecordRange& records,
                    std::string_view section, std::uint32_t age)
{
    for (const wire::RecordView& record : records) {
        std::vector<std::uint8_t> rdata;
        const auto size = static_cast<std::uint16_t>(record.rdata.size());
        if (!decompress_rdata(message.bytes(), record.rdata_offset, size, record.type, rdata)) continue;
        out.push_back(json::object{{"section", section},
                                   {"name", record.owner.to_name().to_text()},
                                   {"ttl", record.ttl.seconds() > age ? record.ttl.seconds() - age : 0U},
                                   {"type", wire::to_string(record.type)},
                                   {"data", wire::rdata_to_text(record.type, rdata)}});
    }
}

/// With TTLs less `age` seconds.
json::array records_of(base::Bytes octets, std::uint32_t age = 0)
{
    json::array out;
    const auto message = wire::MessageView::parse(octets);
    if (!message) return out;
    append_section(out, *message, message->answers(), "answer", age);
    append_section(out, *message, message->authorities(), "authority", age);
    append_section(out, *message, message->additionals(), "additional", age);
    return out;
}

cache::Listed listed_of(const cache::Kept& kept)
{
    cache::Listed listed{kept.qname,
                         kept.key,
                         kept.prepared.rcode,
                         kept.notes.validation,
                         kept.left(),
                         kept.hits,
                         static_cast<std::uint32_t>(kept.prepared.message.size())};
    listed.key.qname = &listed.qname;
    return listed;
}

json::object to_json(const cache::Kept& kept)
{
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(kept.age).count();
    json::object entry = to_json(listed_of(kept));
    if (kept.notes.ede) {
        entry["ede"] = static_cast<unsigned>(*kept.notes.ede);
        entry["ede_text"] = kept.notes.ede_text;
    }
    entry["records"] = records_of(kept.prepared.message, static_cast<std::uint32_t>(std::max<std::int64_t>(age, 0)));
    return entry;
}

/// `SHARD.SEGMENT`.
std::optional<cache::Position> read_position(std::string_view text)
{
    cache::Position position;
    const char* const end = text.data() + text.size();
    const auto shard = std::from_chars(text.data(), end, position.shard);
    if (shard.ec != std::errc{} || shard.ptr == end || *shard.ptr != '.') return std::nullopt;
    const auto segment = std::from_chars(shard.ptr + 1, end, position.segment);
    if (segment.ec != std::errc{} || segment.ptr != end) return std::nullopt;
    return position;
}

/// False where `limit` is none; it is left alone where it is not there.
bool read_limit(const Request& request, std::uint64_t most, std::uint64_t& limit)
{
    const std::string* const word = parameter(request, "limit");
    if (word == nullptr) return true;
    const char* const end = word->data() + word->size();
    const auto read = std::from_chars(word->data(), end, limit);
    return read.ec == std::errc{} && read.ptr == end && limit > 0 && limit <= most;
}

/// What a flush was asked to take.
struct Flush {
    std::optional<std::string> name, subtree;
    bool all = false;
};

std::optional<Flush> read_flush(const std::string& body)
{
    boost::system::error_code error;
    const auto value = json::parse(body, error);
    if (error || !value.is_object() || value.get_object().size() != 1) return std::nullopt;
    const auto& [key, what] = *value.get_object().begin();
    Flush flush;
    if (key == "all" && what.is_bool() && what.get_bool()) {
        flush.all = true;
    } else if (key == "name" && what.is_string()) {
        flush.name = std::string{std::string_view{what.get_string()}};
    } else if (key == "subtree" && what.is_string()) {
        flush.subtree = std::string{std::string_view{what.get_string()}};
    } else {
        return std::nullopt;
    }
    return flush;
}

} // namespace

Response cache_look_up(const cache::Cache& cache, const Request& request, base::Instant now)
{
    const std::string* const text = parameter(request, "name");
    if (text == nullptr) return admin::error_response(400, "expected ?name=NAME, and &type=TYPE where one is wanted");
    const auto name = wire::Name::from_text(*text);
    if (!name) return no_name(*text);
    std::optional<wire::RrType> type;
    if (const std::string* const word = parameter(request, "type")) {
        type = wire::parse_rr_type(*word);
        if (!type) return admin::error_response(400, "'" + word->substr(0, 100) + "' is no type of records");
    }
    json::array entries;
    cache.look_up(*name, now, [&](const cache::Listed& entry, base::Bytes message) {
        if (type && entry.key.qtype != *type) return;
        json::object found = to_json(entry);
        found["records"] = records_of(message);
        entries.push_back(std::move(found));
    });
    return json_answer(json::object{{"name", name->to_text()}, {"entries", std::move(entries)}});
}

Response cache_list(const cache::Cache& cache, const Request& request, base::Instant now)
{
    const std::string* const given = parameter(request, "apex");
    const std::string text = given != nullptr ? *given : ".";
    const auto apex = wire::Name::from_text(text);
    if (!apex) return no_name(text);
    std::uint64_t limit = kUsuallyListed;
    if (!read_limit(request, kMostListed, limit))
        return admin::error_response(400, "'limit' must be a number from 1 to " + std::to_string(kMostListed));
    std::vector<cache::Listed> found;
    bool more = false;
    cache.list(*apex, limit + 1, now, [&](const cache::Listed& entry) {
        more = found.size() == limit;
        if (!more) found.push_back(entry);
        return !more;
    });
    std::ranges::sort(found, [](const cache::Listed& left, const cache::Listed& right) {
        const auto order = left.qname <=> right.qname;
        return order != 0 ? order < 0 : left.key.qtype < right.key.qtype;
    });
    json::array entries;
    for (const cache::Listed& entry : found) entries.push_back(to_json(entry));
    return json_answer(json::object{{"apex", apex->to_text()}, {"entries", std::move(entries)}, {"more", more}});
}

Response cache_dump(const cache::Cache& cache, const Request& request, base::Instant now)
{
    const std::string* const exact = parameter(request, "name");
    const std::string* const below = parameter(request, "apex");
    const std::string text = exact != nullptr ? *exact : below != nullptr ? *below : ".";
    const auto name = wire::Name::from_text(text);
    if (!name) return no_name(text);
    std::uint64_t limit = kUsuallyListed;
    if (!read_limit(request, kMostDumped, limit))
        return admin::error_response(400, "'limit' must be a number from 1 to " + std::to_string(kMostDumped));
    const std::string* const from = parameter(request, "from");
    const auto start = from != nullptr ? read_position(*from) : cache::Position{};
    if (!start) return admin::error_response(400, "'from' must be what the page before said in 'next'");
    std::string page = R"({"entries":[)";
    std::uint64_t count = 0;
    const auto next = cache.page_of_kept(*start, now, [&](const cache::Kept& kept) {
        if (exact != nullptr ? kept.qname == *name : kept.qname.is_under(*name)) {
            page += count++ == 0 ? "" : ",";
            page += json::serialize(to_json(kept));
        }
        return count < limit && page.size() < kDumpedOctets;
    });
    page += R"(],"next":)";
    page += next ? '"' + std::to_string(next->shard) + '.' + std::to_string(next->segment) + '"' : "null";
    return {200, "application/json", page + "}\n"};
}

Response cache_flush(cache::Cache& cache, const Request& request, const Forget& forget)
{
    const auto flush = read_flush(request.body);
    if (!flush)
        return admin::error_response(400, R"(expected one of {"name": "…"}, {"subtree": "…"} and {"all": true})");
    if (flush->all && forget) forget(wire::Name{}, true);
    if (flush->all) return json_answer(json::object{{"flushed", cache.flush_all()}});
    const std::string& text = flush->name ? *flush->name : *flush->subtree;
    const auto name = wire::Name::from_text(text);
    if (!name) return no_name(text);
    if (forget) forget(*name, !flush->name);
    const std::uint64_t gone = flush->name ? cache.flush_name(*name) : cache.flush_subtree(*name);
    return json_answer(json::object{{"flushed", gone}});
}

std::vector<admin::Route> cache_routes(cache::Cache& cache, const base::Clock& clock, Forget forget)
{
    // All of them walk through the whole cache, so none stands in the way of /metrics.
    return {
        {"GET", "/api/v1/cache/lookup", false,
         [&cache, &clock](const Request& request) { return cache_look_up(cache, request, clock.now()); }, true, true},
        {"GET", "/api/v1/cache/list", false,
         [&cache, &clock](const Request& request) { return cache_list(cache, request, clock.now()); }, true, true},
        {"GET", "/api/v1/cache/dump", false,
         [&cache, &clock](const Request& request) { return cache_dump(cache, request, clock.now()); }, true, true},
        {"POST", "/api/v1/cache/flush", true,
         [&cache, told = std::move(forget)](const Request& request) { return cache_flush(cache, request, told); }},
    };
}

} // namespace sallyport::apps
