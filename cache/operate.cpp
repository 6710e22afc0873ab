#include "cache/cache_parts.hpp"
#include "cache/records.hpp"

#include <limits>
#include <vector>

namespace sallyport::cache {
namespace {

using std::chrono::seconds;

/// Whether `name` is `apex` or below it; both in lower case. A label of the one never matches part of a label.
bool is_below(base::Bytes name, base::Bytes apex) noexcept
{
    while (name.size() > apex.size()) name = name.subspan(name[0] + std::size_t{1});
    return base::equal(name, apex);
}

Listed listed_of(const std::uint8_t* entry, const EntryHead& head, Tick now)
{
    Listed listed;
    listed.qname = *wire::Name::from_wire(name_of(entry, head));
    listed.key.qtype = static_cast<wire::RrType>(head.qtype);
    listed.key.qclass = class_of(entry, head);
    listed.key.dnssec_ok = (head.flags & entry_flag::dnssec_ok) != 0;
    listed.key.checking_disabled = (head.flags & entry_flag::checking_disabled) != 0;
    listed.key.partition = partition_of(entry, head);
    listed.rcode = static_cast<wire::Rcode>(head.rcode);
    listed.validation = validation_of(head);
    listed.left = std::chrono::milliseconds{std::int64_t{ticks_between(now, head.expires)} * 1000 / kTicksPerSecond};
    listed.hits = head.hits;
    listed.octets =
        static_cast<std::uint32_t>(wire::kHeaderSize + head.name_size + kQuestionFields + head.records_size);
    return listed;
}

} // namespace

std::uint64_t Cache::flush_name(const wire::Name& name)
{
    const wire::Name lower = name.lower();
    return parts_->flush([&](base::Bytes owner) { return base::equal(owner, lower.wire()); });
}

std::uint64_t Cache::flush_subtree(const wire::Name& apex)
{
    const wire::Name lower = apex.lower();
    return parts_->flush([&](base::Bytes owner) { return is_below(owner, lower.wire()); });
}

std::uint64_t Cache::flush_all()
{
    std::uint64_t gone = 0;
    for (unsigned i = 0; i < parts_->active(); ++i) {
        Shard& shard = parts_->shards[i];
        const std::lock_guard held{shard.mutex};
        const std::uint64_t before = shard.stats.flushed.get();
        shard.clear();
        gone += shard.stats.flushed.get() - before;
    }
    return gone;
}

void Cache::list(const wire::Name& apex, std::uint64_t limit, base::Instant now,
                 const std::function<bool(const Listed&)>& visit) const
{
    const wire::Name lower = apex.lower();
    const Tick tick = tick_of(now);
    std::vector<Listed> page;
    const auto collect = [&](const std::uint8_t* entry, const EntryHead& head) {
        if (page.size() < limit && is_below(name_of(entry, head), lower.wire()))
            page.push_back(listed_of(entry, head, tick));
        return true;
    };
    if (limit == 0) return;
    parts_->sweep(collect, [&] {
        for (Listed& listed : page) {
            listed.key.qname = &listed.qname;
            if (!visit(listed)) return false;
        }
        limit -= page.size();
        page.clear();
        return limit > 0;
    });
}

void Cache::look_up(const wire::Name& name, base::Instant now,
                    const std::function<void(const Listed&, base::Bytes message)>& visit) const
{
    const wire::Name lower = name.lower();
    const Tick tick = tick_of(now);
    struct Copy {
        Listed listed;
        std::vector<std::uint8_t> message;
    };
    std::vector<Copy> copies;
    const auto collect = [&](const std::uint8_t* entry, const EntryHead& head) {
        if (!base::equal(name_of(entry, head), lower.wire())) return true;
        Copy& copy = copies.emplace_back(Copy{listed_of(entry, head, tick), {}});
        copy.message.resize(copy.listed.octets);
        wire::MessageWriter writer{copy.message, copy.message.size()};
        writer.begin(0, wire::flag::QR);
        static_cast<void>(writer.question(copy.listed.qname, copy.listed.key.qtype, copy.listed.key.qclass));
        const auto age = static_cast<std::uint32_t>(std::max(ticks_between(head.stored, tick), 0)) / kTicksPerSecond;
        const base::Bytes records{entry + records_offset(entry, head), head.records_size};
        append_records(writer, records, counts_of(head), Ageing{age}, copy.listed.rcode,
                       (head.flags & entry_flag::authentic) != 0);
        static_cast<void>(writer.message());
        return true;
    };
    parts_->sweep(collect, [&] {
        for (Copy& copy : copies) {
            copy.listed.key.qname = &copy.listed.qname;
            visit(copy.listed, copy.message);
        }
        copies.clear();
        return true;
    });
}

void Cache::each_counter(
    const std::function<void(const char* name, const char* help, std::uint64_t value)>& visit) const
{
    const auto sum = [&](base::Counter ShardStats::* counter) {
        std::uint64_t total = 0;
        for (unsigned i = 0; i < parts_->allocated; ++i) total += (parts_->shards[i].stats.*counter).get();
        return total;
    };
    visit("hits_total", "Queries answered from the cache, stale answers too", sum(&ShardStats::hits));
    visit("stale_hits_total", "Queries answered with an answer past its time", sum(&ShardStats::stale_hits));
    visit("misses_total", "Look-ups that found nothing to give", sum(&ShardStats::misses));
    visit("expired_total", "Look-ups that met an answer past its time; misses too", sum(&ShardStats::expired));
    visit("truncated_total", "Hits that did not fit the answer's size (TC)", sum(&ShardStats::truncated));
    visit("prefetches_total", "Hits whose caller was told to ask anew", sum(&ShardStats::prefetches));
    visit("inserts_total", "Answers kept", sum(&ShardStats::inserts));
    visit("replaced_total", "Answers kept in the place of an older one", sum(&ShardStats::replaced));
    visit("evicted_total", "Answers that went before their time, for others", sum(&ShardStats::evicted));
    visit("evicted_expired_total", "Answers past their time that went for others", sum(&ShardStats::evicted_expired));
    visit("second_chances_total", "Answers the clock's hand left because they were asked for",
          sum(&ShardStats::second_chances));
    visit("refused_total", "Answers that may not be kept", sum(&ShardStats::refused));
    visit("too_large_total", "Answers not kept for their size", sum(&ShardStats::too_large));
    visit("full_total", "Answers not kept because no room could be made", sum(&ShardStats::full));
    visit("flushed_total", "Answers removed by the operator", sum(&ShardStats::flushed));
    visit("entries", "Answers in the cache", sum(&ShardStats::entries));
    visit("bytes", "Octets the cache holds, tables included", sum(&ShardStats::bytes));
    visit("bytes_limit", "Octets it may hold", options().bytes);
}

void Cache::each_hit_age(const std::function<void(double upper_seconds, std::uint64_t count)>& visit) const
{
    for (std::size_t age = 0; age < kHitAges; ++age) {
        std::uint64_t count = 0;
        for (unsigned i = 0; i < parts_->allocated; ++i) count += parts_->shards[i].stats.hit_ages[age].get();
        const bool is_last = age + 1 == kHitAges;
        visit(is_last ? std::numeric_limits<double>::infinity() : static_cast<double>(std::uint64_t{1} << age), count);
    }
}

} // namespace sallyport::cache
