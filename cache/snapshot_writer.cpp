#include "base/atomic_file.hpp"
#include "cache/snapshot.hpp"
#include "cache/snapshot_format.hpp"
#include "cache/snapshot_sets.hpp"

#include <optional>
#include <utility>
#include <vector>

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
        mark_ = format::mark_of(out.octets);
        return send(out.octets);
    }
    /// Where the next record of a kind is to be written; `added` afterwards.
    [[nodiscard]] format::Writer& payload() noexcept { return payload_; }
    [[nodiscard]] base::Result<void> added(std::uint32_t kind)
    {
        ++records_;
        return payload_.octets.size() < format::kFullBlock ? base::Result<void>{} : end_block(kind);
    }
    /// No more of a kind.
    [[nodiscard]] base::Result<void> end_kind(std::uint32_t kind)
    {
        return records_ > 0 ? end_block(kind) : base::Result<void>{};
    }
    [[nodiscard]] base::Result<SnapshotSaved> end(SnapshotSaved saved)
    {
        for (const std::uint64_t count : {saved.entries, saved.sets, saved.cuts}) payload_.number(count);
        records_ = 1;
        if (auto sent = end_block(format::kEnd); !sent) return sent.error();
        saved.octets = octets_;
        return saved;
    }

private:
    [[nodiscard]] base::Result<void> end_block(std::uint32_t kind)
    {
        const format::Writer head = format::head_of(kind, payload_.octets, records_, octets_ ^ mark_);
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
    std::uint64_t octets_ = 0;
    std::uint64_t mark_ = 0;
};

/// What is of use at another time: no failures (RFC 9520 keeps them for seconds), nothing bogus, nothing past its time.
bool is_worth_it(const Kept& kept, const Options& limits, base::Duration no_older) noexcept
{
    if (kept.age > no_older) return false;
    if (kept.prepared.rcode != wire::Rcode::NOERROR && kept.prepared.rcode != wire::Rcode::NXDOMAIN) return false;
    if (kept.notes.validation == wire::ValidationState::bogus) return false;
    return kept.left() > (limits.serve_stale ? -base::Duration{limits.stale_for} : base::Duration::zero());
}

/// One pass over what is to be kept.
class SnapshotWriter {
public:
    SnapshotWriter(const SnapshotSink& sink, const Moment& at, const Cancelled& cancelled)
        : blocks_(sink), at_(at), cancelled_(cancelled)
    {
    }

    [[nodiscard]] base::Result<SnapshotSaved> run(const Cache& cache, const RrsetStore* store,
                                                  std::uint64_t fingerprint, base::Duration no_older)
    {
        going_ = blocks_.header(fingerprint, at_.wall);
        if (goes_on()) write_answers(cache, no_older);
        if (store != nullptr && goes_on()) write_sets(*store);
        if (store != nullptr && goes_on()) write_cuts(store->cuts());
        if (!going_) return going_.error();
        if (is_cancelled()) return base::Error{base::ErrorCode::conflict, "told to end before it was written", {}};
        return blocks_.end(saved_);
    }

private:
    [[nodiscard]] bool is_cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool goes_on() const noexcept { return going_.has_value() && !is_cancelled(); }
    void added(std::uint32_t kind, std::uint64_t& count)
    {
        ++count;
        going_ = blocks_.added(kind);
    }
    void end_kind(std::uint32_t kind)
    {
        if (goes_on()) going_ = blocks_.end_kind(kind);
    }

    void write_answers(const Cache& cache, base::Duration no_older)
    {
        const Options limits = cache.options();
        cache.each_kept(at_.now, [&](const Kept& kept) {
            if (is_worth_it(kept, limits, no_older)) {
                append(blocks_.payload(), kept);
                added(format::kAnswers, saved_.entries);
            }
            return goes_on();
        });
        end_kind(format::kAnswers);
    }

    void write_sets(const RrsetStore& store)
    {
        const RrsetOptions& options = store.options();
        const auto grace = std::chrono::seconds(options.keep_stale ? options.stale_for : 0);
        std::vector<RrsetPtr> sets;
        for (std::optional<RrsetStore::Position> next{std::in_place}; next && goes_on();) {
            sets.clear();
            next = store.page(*next, sets);
            for (const RrsetPtr& set : sets) {
                if (!goes_on()) return;
                if (format::append(blocks_.payload(), *set, at_.now, grace)) added(format::kSets, saved_.sets);
            }
        }
        end_kind(format::kSets);
    }

    void write_cuts(const Cuts& cuts)
    {
        for (unsigned shard = 0; shard < Cuts::kShards && goes_on(); ++shard) {
            for (const auto& [zone, cut] : cuts.list(shard)) {
                if (!goes_on()) return;
                if (format::append(blocks_.payload(), zone, *cut, at_.now)) added(format::kCuts, saved_.cuts);
            }
        }
        end_kind(format::kCuts);
    }

    BlockWriter blocks_;
    Moment at_;
    const Cancelled& cancelled_;
    SnapshotSaved saved_;
    base::Result<void> going_;
};

} // namespace

base::Result<SnapshotSaved> write_snapshot(const Cache& cache, const RrsetStore* store, const SnapshotSink& sink,
                                           std::uint64_t fingerprint, Moment at, const Cancelled& cancelled,
                                           base::Duration no_older)
{
    return SnapshotWriter{sink, at, cancelled}.run(cache, store, fingerprint, no_older);
}

base::Result<SnapshotSaved> save_snapshot(const Cache& cache, const RrsetStore* store, const std::string& file,
                                          std::uint64_t fingerprint, Moment at, const Cancelled& cancelled,
                                          base::Duration no_older)
{
    base::AtomicFile out;
    if (auto opened = out.open(file, 0600); !opened) return opened.error();
    const SnapshotSink sink = [&](base::Bytes octets) { return out.write(octets); };
    auto saved = write_snapshot(cache, store, sink, fingerprint, at, cancelled, no_older);
    if (!saved) return saved;
    if (auto lasting = out.commit(); !lasting) return lasting.error();
    return saved;
}

std::uint64_t fingerprint_of(std::string_view text) noexcept { return format::checksum(base::as_bytes(text)); }

} // namespace sallyport::cache
