#include "cache/cache_parts.hpp"
#include "cache/entry_writer.hpp"
#include "cache/records.hpp"
#include "wire/rdata.hpp"

#include <algorithm>
#include <memory>
#include <vector>

namespace sallyport::cache {
namespace {

using std::chrono::seconds;

base::Duration duration_of(std::int64_t ticks) noexcept
{
    return std::chrono::nanoseconds{ticks * (1'000'000'000 / kTicksPerSecond)};
}

std::int64_t ticks_of(base::Duration duration) noexcept
{
    using Ticks = std::chrono::duration<std::int64_t, std::ratio<1, kTicksPerSecond>>;
    return std::chrono::duration_cast<Ticks>(duration).count();
}

/// Reads entries out of a copy of a segment, with the messages they were.
class Copy {
public:
    [[nodiscard]] std::uint8_t* room() noexcept { return octets_.get(); }
    std::uint32_t size = 0;

    /// False where `visit` ended it.
    template <class Visit>
    bool each(Tick now, Visit&& visit)
    {
        for (std::uint32_t at = 0; at < size;) {
            const std::uint8_t* const entry = octets_.get() + at;
            const EntryHead head = load_head(entry);
            at += head.units * static_cast<std::uint32_t>(kUnit);
            if ((head.flags & entry_flag::dead) != 0) continue;
            Kept kept = kept_of(entry, head, now);
            kept.key.qname = &kept.qname;
            if (!visit(kept)) return false;
        }
        return true;
    }

private:
    [[nodiscard]] Kept kept_of(const std::uint8_t* entry, const EntryHead& head, Tick now) noexcept
    {
        Kept kept;
        kept.qname = *wire::Name::from_wire(name_of(entry, head));
        kept.key.qtype = static_cast<wire::RrType>(head.qtype);
        kept.key.qclass = class_of(entry, head);
        kept.key.dnssec_ok = (head.flags & entry_flag::dnssec_ok) != 0;
        kept.key.checking_disabled = (head.flags & entry_flag::checking_disabled) != 0;
        kept.key.partition = partition_of(entry, head);
        kept.prepared.rcode = static_cast<wire::Rcode>(head.rcode);
        kept.prepared.lifetime = duration_of(ticks_between(head.stored, head.expires));
        kept.prepared.negative = (head.flags & entry_flag::negative) != 0;
        kept.prepared.authentic = (head.flags & entry_flag::authentic) != 0;
        kept.prepared.message = message_of(entry, head, kept);
        kept.notes.validation = validation_of(head);
        if ((head.flags & entry_flag::has_ede) != 0) {
            const std::uint8_t* const at = entry + ede_offset(head);
            kept.notes.ede = static_cast<wire::ExtendedError>(base::load_be16({at, 2}, 0));
            kept.notes.ede_text = base::as_text({at + 3, at[2]});
        }
        kept.age = duration_of(ticks_between(head.stored, now));
        kept.hits = head.hits;
        kept.asked_for_lately = (head.flags & entry_flag::visited) != 0;
        return kept;
    }

    [[nodiscard]] base::Bytes message_of(const std::uint8_t* entry, const EntryHead& head, const Kept& kept) noexcept
    {
        wire::MessageWriter writer{{message_.get(), wire::kMaxMessageSize}, wire::kMaxMessageSize};
        writer.begin(0, wire::flag::QR);
        static_cast<void>(writer.question(kept.qname, kept.key.qtype, kept.key.qclass));
        const base::Bytes records{entry + records_offset(entry, head), head.records_size};
        append_records(writer, records, counts_of(head), Ageing{}, kept.prepared.rcode, kept.prepared.authentic);
        return writer.message();
    }

    std::unique_ptr<std::uint8_t[]> octets_{new std::uint8_t[kSegmentSize]};
    std::unique_ptr<std::uint8_t[]> message_{new std::uint8_t[wire::kMaxMessageSize]};
};

/// Cuts the TTLs of a message to `most`; false where it is none that could have been kept under `key`: what a file says
/// is checked as if a stranger had sent it.
bool check_and_cap(base::MutableBytes octets, const Key& key, std::uint32_t most)
{
    const auto message = wire::MessageView::parse(octets);
    if (!message || message->header().question_count != 1 || message->qtype() != key.qtype ||
        message->qclass() != key.qclass || !message->qname().equals(*key.qname))
        return false;
    std::vector<std::uint8_t> rdata;
    for (const wire::RecordView& record : message->records()) {
        if (record.rr_class != key.qclass || is_meta(record.type)) return false;
        rdata.clear();
        const auto size = static_cast<std::uint16_t>(record.rdata.size());
        if (!decompress_rdata(octets, record.rdata_offset, size, record.type, rdata)) return false;
        if (!check_rdata(record.type, rdata)) return false;
        // As it stands there: one with the topmost bit set means 0 (RFC 2181 §8), and would be aged as a number.
        if (base::load_be32(octets, record.ttl_offset) > most)
            base::store_be32(octets, record.ttl_offset, std::min(record.ttl.seconds(), most));
    }
    return true;
}

bool may_be_kept(const Kept& kept) noexcept
{
    const bool answers = kept.prepared.rcode == wire::Rcode::NOERROR || kept.prepared.rcode == wire::Rcode::NXDOMAIN;
    return answers && kept.notes.validation <= wire::ValidationState::indeterminate &&
           kept.notes.validation != wire::ValidationState::bogus && kept.prepared.lifetime >= seconds{1} &&
           kept.age > -seconds{60} && kept.age < seconds{366 * 86'400};
}

} // namespace

void Cache::each_kept(base::Instant now, const std::function<bool(const Kept&)>& visit) const
{
    std::vector<std::vector<std::uint32_t>> segments(parts_->allocated);
    std::size_t most = 0;
    for (unsigned i = 0; i < parts_->allocated; ++i) {
        const std::lock_guard held{parts_->shards[i].mutex};
        parts_->shards[i].list_segments(segments[i]);
        most = std::max(most, segments[i].size());
    }
    Copy copy;
    const Tick tick = tick_of(now);
    // Side by side, so that the newest of all shards come last.
    for (std::size_t newer = most; newer > 0; --newer) {
        for (unsigned i = 0; i < parts_->allocated; ++i) {
            if (newer > segments[i].size()) continue;
            {
                const std::lock_guard held{parts_->shards[i].mutex};
                const std::uint32_t index = segments[i][segments[i].size() - newer];
                if (!parts_->shards[i].copy_segment(index, copy.room(), copy.size)) continue;
            }
            if (!copy.each(tick, visit)) return;
        }
    }
}

std::optional<Position> Cache::page_of_kept(Position from, base::Instant now,
                                            const std::function<bool(const Kept&)>& visit) const
{
    Copy copy;
    const Tick tick = tick_of(now);
    bool more = true;
    for (; from.shard < parts_->allocated; from = {from.shard + 1, 0}) {
        for (;; ++from.segment) {
            if (!more) return from;
            {
                const std::lock_guard held{parts_->shards[from.shard].mutex};
                if (!parts_->shards[from.shard].copy_segment(from.segment, copy.room(), copy.size)) break;
            }
            copy.each(tick, [&](const Kept& kept) {
                more = visit(kept) && more;
                return true;
            });
        }
    }
    return std::nullopt;
}

bool Cache::put_back(const Kept& kept, base::Instant now)
{
    if (!parts_->enabled.load(std::memory_order_relaxed) || !may_be_kept(kept)) return false;
    const Options limits = options();
    const seconds longest = kept.prepared.negative ? std::min(limits.max_ttl, limits.max_negative_ttl) : limits.max_ttl;
    const auto most = static_cast<std::uint32_t>(longest.count());
    const auto octets = std::make_unique<std::uint8_t[]>(kept.prepared.message.size());
    std::copy(kept.prepared.message.begin(), kept.prepared.message.end(), octets.get());
    Prepared prepared = kept.prepared;
    prepared.message = {octets.get(), kept.prepared.message.size()};
    prepared.lifetime = std::min<base::Duration>(kept.prepared.lifetime, longest);
    if (prepared.message.size() > (prepared.negative ? limits.max_negative_entry : limits.max_entry)) return false;
    if (!check_and_cap({octets.get(), prepared.message.size()}, kept.key, most)) return false;
    const auto draft = draft_of(kept.key, prepared, kept.notes);
    if (!draft) return false;

    const Tick tick = tick_of(now);
    const Tick stored = tick - static_cast<Tick>(ticks_of(kept.age));
    const Tick expires = stored + static_cast<Tick>(ticks_of(prepared.lifetime));
    const std::uint64_t hash = hash_of(kept.key);
    std::unique_lock<std::mutex> held;
    Shard& shard = parts_->lock(hash, held);
    EntryHead head;
    head.expires = expires;
    if (shard.is_past(head, tick) || shard.find(hash, kept.key) != nullptr) return false;
    std::uint8_t* const entry = shard.put(hash, kept.key, draft->size, tick);
    if (entry == nullptr) return false;
    fill(entry, kept.key, prepared, kept.notes, *draft, tick);
    head = load_head(entry);
    head.stored = stored;
    head.expires = expires;
    head.hits = kept.hits;
    if (kept.asked_for_lately) head.flags |= entry_flag::visited;
    store_head(entry, head);
    return true;
}

} // namespace sallyport::cache
