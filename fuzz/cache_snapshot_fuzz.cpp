// fuzz: links sallyport_cache
#include "cache/snapshot.hpp"
#include "cache/snapshot_format.hpp"
#include "wire/rdata.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

using namespace sallyport;
using namespace sallyport::cache;

namespace {

const base::Instant kNow{std::chrono::hours{1}};
const base::WallTime kWall{std::chrono::hours{24 * 365 * 50}};
const Cancelled kGoOn{false};
constexpr std::uint64_t kFingerprint = 7;

using Octets = std::vector<std::uint8_t>;

void require(bool holds)
{
    if (!holds) std::abort();
}

Options options()
{
    Options small;
    small.bytes = 1U << 20U;
    small.shards = 1;
    small.serve_stale = true;
    return small;
}

RrsetOptions store_options()
{
    RrsetOptions small;
    small.bytes = 1U << 20U;
    small.shards = 1;
    small.keep_stale = true;
    return small;
}

SnapshotRead read(Cache& cache, RrsetStore& store, base::Bytes octets)
{
    const SnapshotSource source = [&](base::MutableBytes room) -> std::optional<std::size_t> {
        const std::size_t size = std::min(room.size(), octets.size());
        std::copy_n(octets.begin(), size, room.begin());
        octets = octets.subspan(size);
        return size;
    };
    return read_snapshot(cache, &store, source, kFingerprint, {kNow, kWall}, kGoOn);
}

Octets write(const Cache& cache, const RrsetStore& store)
{
    Octets out;
    const auto saved = write_snapshot(
        cache, &store,
        [&](base::Bytes octets) {
            out.insert(out.end(), octets.begin(), octets.end());
            return base::Result<void>{};
        },
        kFingerprint, {kNow, kWall}, kGoOn);
    require(saved.has_value() && saved->octets == out.size());
    return out;
}

/// A file whose only block has this payload, with every checksum right: nobody finds those by chance.
Octets file_of(std::uint32_t kind, base::Bytes payload, std::uint32_t records)
{
    format::Writer out;
    out.append(format::kMagic);
    out.number(format::kVersion);
    out.number(std::uint32_t{0});
    out.number(std::chrono::duration_cast<std::chrono::milliseconds>(kWall.time_since_epoch()).count());
    out.number(kFingerprint);
    out.number(format::checksum(out.octets));
    out.append(format::head_of(kind, payload, records, out.octets.size() ^ format::mark_of(out.octets)).octets);
    out.append(payload);
    return out.octets;
}

/// What came into the store is what a store may hold, and nobody's word.
void check_set(const Rrset& set, const wire::Name& zone, bool beside)
{
    require(set.state == wire::ValidationState::unchecked && !set.ede && set.ede_text.empty() && !set.network);
    require(set.rank > Rank::additional && set.rank <= Rank::answer_auth);
    require(set.owner.is_under(zone) && set.is_data() != set.records.empty());
    require(set.expires <= kNow + std::chrono::seconds(set.ttl.seconds()) && set.ttl.seconds() <= 86'400);
    for (const base::Bytes rdata : set.records) require(wire::check_rdata(set.type, rdata).has_value());
    for (const base::Bytes rdata : set.signatures)
        require(wire::check_rdata(wire::RrType::RRSIG, rdata).has_value() &&
                base::load_be16(rdata, 0) == static_cast<std::uint16_t>(set.type));
    require(!beside || set.is_data());
    for (const RrsetPtr& each : set.authority) check_set(*each, zone, true);
}

void check(const RrsetStore& store, const SnapshotRead& result)
{
    std::vector<RrsetPtr> sets;
    for (std::optional<RrsetStore::Position> next{std::in_place}; next;) next = store.page(*next, sets);
    require(sets.size() == result.sets && store.counts().evicted == 0);
    for (const RrsetPtr& set : sets) check_set(*set, set->zone, false);
    std::size_t cuts = 0;
    for (unsigned shard = 0; shard < Cuts::kShards; ++shard) {
        for (const auto& [zone, cut] : store.cuts().list(shard)) {
            ++cuts;
            require(!zone.is_root() && cut->restored && !cut->servers.empty() && cut->expires > kNow);
            require(cut->expires <= kNow + std::chrono::seconds(cut->ttl.seconds()));
            require(store.cuts().find_restored(zone, kNow) == cut);
        }
    }
    require(cuts == result.cuts);
}

/// What came into the cache is what a cache may hold.
void check(const Cache& cache, const RrsetStore& store)
{
    std::uint64_t entries = 0;
    cache.each_kept(kNow, [&](const Kept& kept) {
        ++entries;
        const auto message = wire::MessageView::parse(kept.prepared.message);
        require(message && message->header().question_count == 1 && message->edns() == nullptr);
        require(message->qname().equals(kept.qname) && message->qtype() == kept.key.qtype);
        for (const wire::RecordView& record : message->records()) require(record.rr_class == kept.key.qclass);
        require(kept.notes.validation != wire::ValidationState::bogus);
        require(kept.prepared.rcode == wire::Rcode::NOERROR || kept.prepared.rcode == wire::Rcode::NXDOMAIN);
        require(kept.left() > -std::chrono::hours{24});
        return true;
    });
    // What was read is written and read again, the same.
    const Octets again = write(cache, store);
    Cache other{options()};
    RrsetStore other_store{store_options()};
    const SnapshotRead back = read(other, other_store, again);
    require(!back.trouble && back.left_out == 0 && back.entries <= entries);
    require(back.sets_left_out == 0 && back.sets == store.counts().entries);
    require(back.cuts == store.cuts().counts().entries);
    require(write(other, other_store).size() == again.size());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2) return 0;
    const base::Bytes input{data + 1, size - 1};
    Cache cache{options()};
    RrsetStore store{store_options()};
    // As a whole file, or as the payload of a block of one kind or another.
    constexpr std::uint32_t kKinds[] = {format::kAnswers, format::kSets, format::kCuts, format::kEnd};
    const Octets file = (data[0] & 1U) != 0 ? file_of(kKinds[data[0] >> 6U], input, 1U + ((data[0] >> 1U) & 31U))
                                            : Octets(input.begin(), input.end());
    const SnapshotRead result = read(cache, store, file);
    require(result.found);
    check(store, result);
    check(cache, store);
    return 0;
}
