// fuzz: links sallyport_cache
#include "cache/cache.hpp"

#include <cstdlib>
#include <vector>

using namespace sallyport;
using namespace sallyport::cache;

namespace {

const base::Instant kNow{std::chrono::hours{1}};

void require(bool holds)
{
    if (!holds) std::abort();
}

Cache& shared_cache()
{
    static Cache* const cache = [] {
        Options options;
        options.bytes = 1U << 20U;
        options.shards = 1;
        return new Cache{options};
    }();
    return *cache;
}

std::uint32_t seconds_of(base::Duration duration)
{
    return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

/// What is prepared is a message of this question, without OPT, of one class, with TTLs within the limits.
void check(const Prepared& prepared, const Key& key, const Options& options)
{
    const auto message = wire::MessageView::parse(prepared.message);
    require(static_cast<bool>(message));
    require(message->id() == 0 && message->edns() == nullptr && !message->header().has(wire::flag::TC));
    require(message->header().question_count == 1 && message->qname().equals(*key.qname));
    require(message->qtype() == key.qtype && message->qclass() == key.qclass);
    const auto most = static_cast<std::uint32_t>(options.max_ttl.count());
    const bool is_failure = prepared.rcode == wire::Rcode::SERVFAIL;
    require(seconds_of(prepared.lifetime) <= most);
    for (const wire::RecordView& record : message->records()) {
        require(record.rr_class == key.qclass && !is_meta(record.type));
        require(record.ttl.seconds() <= most);
        require(is_failure || prepared.lifetime == base::Duration{} ||
                record.ttl.seconds() >= seconds_of(prepared.lifetime));
    }
    if (message->header().answer_count == 0 && !is_failure) {
        require(prepared.negative || prepared.lifetime == base::Duration{});
        require(seconds_of(prepared.lifetime) <= static_cast<std::uint32_t>(options.max_negative_ttl.count()));
    }
}

/// The records of an answer begun for the question, as `write` leaves them.
template <class Write>
std::vector<std::uint8_t> written(const Key& key, Write&& write)
{
    std::vector<std::uint8_t> buffer(65'535);
    std::vector<std::uint8_t> question{key.qname->wire().begin(), key.qname->wire().end()};
    for (const auto value : {static_cast<std::uint16_t>(key.qtype), static_cast<std::uint16_t>(key.qclass)}) {
        question.push_back(static_cast<std::uint8_t>(value >> 8U));
        question.push_back(static_cast<std::uint8_t>(value));
    }
    wire::MessageWriter writer{buffer, buffer.size()};
    require(writer.begin_response(0, 0, question, 1));
    write(writer);
    buffer.resize(writer.message().size());
    return buffer;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto response = wire::MessageView::parse({data, size});
    if (!response || response->header().question_count == 0) return 0;
    const wire::Name qname = response->qname().to_name().lower();
    Key key;
    key.qname = &qname;
    key.qtype = response->qtype();
    key.qclass = response->qclass();
    const Options options;
    std::vector<std::uint8_t> room(65'535);
    const auto prepared = prepare(*response, key, options, room);
    if (!prepared) return 0;
    check(*prepared, key, options);

    const bool extended = static_cast<unsigned>(prepared->rcode) > 15;
    const auto message = written(key, [&](wire::MessageWriter& writer) { give(*prepared, writer); });
    require(base::equal(base::Bytes{message}.subspan(4), prepared->message.subspan(4)));

    // What was prepared is prepared: there is nothing left to drop, to cut or to write another way.
    if (!extended) {
        std::vector<std::uint8_t> again_room(65'535);
        const auto again = prepare(*wire::MessageView::parse(prepared->message), key, options, again_room);
        require(again && base::equal(again->message, prepared->message));
        require(again->negative == prepared->negative && again->rcode == prepared->rcode);
    }

    Cache& cache = shared_cache();
    const bool kept = cache.store(key, *prepared, {}, kNow);
    require(kept || prepared->lifetime == base::Duration{} || prepared->message.size() > options.max_negative_entry ||
            prepared->rcode == wire::Rcode::SERVFAIL);
    if (!kept) return 0;
    const auto found = written(key, [&](wire::MessageWriter& writer) {
        const Found hit = cache.find(key, kNow, writer);
        require(hit.kind == Found::Kind::fresh && hit.rcode == prepared->rcode);
    });
    require(found == message);
    return 0;
}
