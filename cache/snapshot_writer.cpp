#include "base/atomic_file.hpp"
#include "cache/snapshot.hpp"
#include "cache/snapshot_format.hpp"

namespace sallyport::cache {
namespace {

using std::chrono::milliseconds;

std::uint8_t flags_of(const Kept& kept) noexcept
{
    return static_cast<std::uint8_t>((kept.key.dnssec_ok ? 1U : 0U) | (kept.key.checking_disabled ? 2U : 0U) |
                                     (kept.prepared.negative ? 4U : 0U) | (kept.prepared.authentic ? 8U : 0U) |
                                     (kept.asked_for_lately ? 16U : 0U) | (kept.notes.ede ? 32U : 0U));
}

/// Sixteenths of a second, which entries count in, are whole numbers of these.
std::int64_t microseconds_of(base::Duration duration) noexcept
{
    return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

void append(format::Writer& out, const Kept& kept)
{
    out.number(kept.key.partition);
    out.number(flags_of(kept));
    out.number(static_cast<std::uint8_t>(kept.notes.validation));
    out.number(kept.hits);
    out.number(microseconds_of(kept.age));
    out.number(microseconds_of(kept.prepared.lifetime));
    if (kept.notes.ede) {
        out.number(static_cast<std::uint16_t>(*kept.notes.ede));
        out.number(static_cast<std::uint8_t>(kept.notes.ede_text.size()));
        out.append(base::as_bytes(kept.notes.ede_text));
    }
    out.number(static_cast<std::uint16_t>(kept.prepared.message.size()));
    out.append(kept.prepared.message);
}

/// Fills blocks and sends them on.
class BlockWriter {
public:
    explicit BlockWriter(const SnapshotSink& sink) : sink_(sink) {}

    [[nodiscard]] base::Result<void> header(std::uint64_t fingerprint, base::WallTime wall)
    {
        format::Writer out;
        out.append(format::kMagic);
        out.number(format::kVersion);
        out.number(std::uint32_t{0});
        out.number(std::chrono::duration_cast<milliseconds>(wall.time_since_epoch()).count());
        out.number(fingerprint);
        out.number(format::checksum(out.octets));
        return send(out.octets);
    }
    [[nodiscard]] base::Result<void> add(const Kept& kept)
    {
        append(payload_, kept);
        ++records_;
        ++entries_;
        return payload_.octets.size() < format::kFullBlock ? base::Result<void>{} : end_block(format::kAnswers);
    }
    [[nodiscard]] base::Result<SnapshotSaved> end()
    {
        if (records_ > 0)
            if (auto sent = end_block(format::kAnswers); !sent) return sent.error();
        payload_.number(entries_);
        records_ = 1;
        if (auto sent = end_block(format::kEnd); !sent) return sent.error();
        return SnapshotSaved{entries_, octets_};
    }

private:
    [[nodiscard]] base::Result<void> end_block(std::uint32_t kind)
    {
        format::Writer head;
        head.number(kind);
        head.number(static_cast<std::uint32_t>(payload_.octets.size()));
        head.number(records_);
        // Where it stands is part of it: a block that is missing or comes twice is seen.
        format::Writer place = head;
        place.number(octets_);
        head.number(format::checksum(place.octets) ^ format::checksum(payload_.octets));
        if (auto sent = send(head.octets); !sent) return sent;
        auto sent = send(payload_.octets);
        payload_.octets.clear();
        records_ = 0;
        return sent;
    }
    [[nodiscard]] base::Result<void> send(base::Bytes octets)
    {
        octets_ += octets.size();
        return sink_(octets);
    }

    const SnapshotSink& sink_;
    format::Writer payload_;
    std::uint32_t records_ = 0;
    std::uint64_t entries_ = 0;
    std::uint64_t octets_ = 0;
};

/// What is of use at another time: no failures (RFC 9520 keeps them for seconds), nothing bogus, nothing past its time.
bool is_worth_it(const Kept& kept, const Options& limits, base::Duration no_older) noexcept
{
    if (kept.age > no_older) return false;
    if (kept.prepared.rcode != wire::Rcode::NOERROR && kept.prepared.rcode != wire::Rcode::NXDOMAIN) return false;
    if (kept.notes.validation == wire::ValidationState::bogus) return false;
    return kept.left() > (limits.serve_stale ? -base::Duration{limits.stale_for} : base::Duration::zero());
}

} // namespace

base::Result<SnapshotSaved> write_snapshot(const Cache& cache, const SnapshotSink& sink, std::uint64_t fingerprint,
                                           Moment at, const Cancelled& cancelled, base::Duration no_older)
{
    BlockWriter blocks{sink};
    base::Result<void> going = blocks.header(fingerprint, at.wall);
    if (!going) return going.error();
    const Options limits = cache.options();
    cache.each_kept(at.now, [&](const Kept& kept) {
        if (is_worth_it(kept, limits, no_older)) going = blocks.add(kept);
        return going.has_value() && !cancelled.load(std::memory_order_relaxed);
    });
    if (!going) return going.error();
    if (cancelled.load(std::memory_order_relaxed))
        return base::Error{base::ErrorCode::conflict, "told to end before it was written", {}};
    return blocks.end();
}

base::Result<SnapshotSaved> save_snapshot(const Cache& cache, const std::string& file, std::uint64_t fingerprint,
                                          Moment at, const Cancelled& cancelled, base::Duration no_older)
{
    base::AtomicFile out;
    if (auto opened = out.open(file, 0600); !opened) return opened.error();
    const SnapshotSink sink = [&](base::Bytes octets) { return out.write(octets); };
    auto saved = write_snapshot(cache, sink, fingerprint, at, cancelled, no_older);
    if (!saved) return saved;
    if (auto lasting = out.commit(); !lasting) return lasting.error();
    return saved;
}

std::uint64_t fingerprint_of(std::string_view text) noexcept { return format::checksum(base::as_bytes(text)); }

} // namespace sallyport::cache
