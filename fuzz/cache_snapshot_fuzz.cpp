// fuzz: links sallyport_cache
#include "cache/snapshot.hpp"
#include "cache/snapshot_format.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
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

SnapshotRead read(Cache& cache, base::Bytes octets)
{
    const SnapshotSource source = [&](base::MutableBytes room) -> std::optional<std::size_t> {
        const std::size_t size = std::min(room.size(), octets.size());
        std::copy_n(octets.begin(), size, room.begin());
        octets = octets.subspan(size);
        return size;
    };
    return read_snapshot(cache, source, kFingerprint, {kNow, kWall}, kGoOn);
}

Octets write(const Cache& cache)
{
    Octets out;
    const auto saved = write_snapshot(
        cache,
        [&](base::Bytes octets) {
            out.insert(out.end(), octets.begin(), octets.end());
            return base::Result<void>{};
        },
        kFingerprint, {kNow, kWall}, kGoOn);
    require(saved.has_value() && saved->octets == out.size());
    return out;
}

/// A file whose only block has this payload, with every checksum right: nobody finds those by chance.
Octets file_of(base::Bytes payload, std::uint32_t records)
{
    format::Writer out;
    out.append(format::kMagic);
    out.number(format::kVersion);
    out.number(std::uint32_t{0});
    out.number(std::chrono::duration_cast<std::chrono::milliseconds>(kWall.time_since_epoch()).count());
    out.number(kFingerprint);
    out.number(format::checksum(out.octets));
    format::Writer head;
    head.number(format::kAnswers);
    head.number(static_cast<std::uint32_t>(payload.size()));
    head.number(records);
    format::Writer place = head;
    place.number(static_cast<std::uint64_t>(out.octets.size()));
    head.number(format::checksum(place.octets) ^ format::checksum(payload));
    out.append(head.octets);
    out.append(payload);
    return out.octets;
}

/// What came into the cache is what a cache may hold.
void check(const Cache& cache)
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
    const Octets again = write(cache);
    Cache other{options()};
    const SnapshotRead back = read(other, again);
    require(!back.trouble && back.left_out == 0 && back.entries <= entries);
    require(write(other).size() == again.size());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2) return 0;
    const base::Bytes input{data + 1, size - 1};
    Cache cache{options()};
    // As a whole file, or as the payload of a block.
    const Octets file = (data[0] & 1U) != 0 ? file_of(input, 1U + (data[0] >> 1U)) : Octets(input.begin(), input.end());
    const SnapshotRead result = read(cache, file);
    require(result.found);
    check(cache);
    return 0;
}
