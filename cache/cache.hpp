#pragma once

/// Module `cache`: answers that were given once and may be given again.
///
/// Whole answers are kept as wire octets, ready to be copied behind the question a client asks; shared by all workers,
/// split in shards, each behind a lock that is held for a bounded copy. It opens nothing, asks nobody and has no
/// clock: its users say what time it is. Start reading at `Cache::find` and `prepare`.

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "cache/options.hpp"
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::cache {

/// What an answer is found by. DO and CD get answers of their own (RFC 4035 §4.7 and §3.2.2), and so does each
/// `partition`: the group of upstreams that policy chose, 0 for the usual way.
struct Key {
    const wire::Name* qname = nullptr; ///< lower case; borrowed for the call
    wire::RrType qtype{};
    wire::RrClass qclass = wire::RrClass::IN;
    bool dnssec_ok = false;
    bool checking_disabled = false;
    std::uint32_t partition = 0;
};

/// A response made ready to be kept and to be given out: header, one question, records without OPT, TSIG and foreign
/// classes, names compressed against what stands in it, TTLs within the limits. Borrows the room it was written to.
struct Prepared {
    base::Bytes message; ///< id 0
    wire::Rcode rcode{};
    base::Duration lifetime{}; ///< 0: must not be kept
    bool negative = false;     ///< NXDOMAIN, or no data for the type (RFC 2308 §2)
    bool authentic = false;    ///< AD of the response
};

/// Reads what an upstream sent to the question of `key`; nothing where it is no answer to it that may be believed in
/// form (another question, RDATA that does not parse, more than the options allow). A truncated one (TC) is prepared
/// with a lifetime of 0. `room` needs 65,535 octets.
[[nodiscard]] std::optional<Prepared> prepare(const wire::MessageView& response, const Key& key, const Options& options,
                                              base::MutableBytes room) noexcept;

/// Writes it behind the question of a begun response (`MessageWriter::begin_response`): records, RCODE, AD. Where it
/// does not fit: TC set, no records. TTLs as prepared.
void give(const Prepared& prepared, wire::MessageWriter& answer) noexcept;

/// What is kept beside the octets.
struct Notes {
    wire::ValidationState validation = wire::ValidationState::unchecked;
    std::optional<wire::ExtendedError> ede{};
    std::string_view ede_text{}; ///< at most 96 octets are kept
};

struct Found {
    enum class Kind : std::uint8_t { miss, fresh, stale };
    Kind kind = Kind::miss;
    bool prefetch = false; ///< this caller, and no other for a while, should ask anew
    wire::Rcode rcode{};
    wire::ValidationState validation{};
    std::optional<wire::ExtendedError> ede{};
    std::array<char, 96> ede_text{}; ///< `ede_text_size` octets
    std::uint8_t ede_text_size = 0;
    base::Duration age{};
    explicit operator bool() const noexcept { return kind != Kind::miss; }
};

/// Whether an answer that is past its time will do: for who could not get a new one, so that no failure is given then.
enum class Stale : std::uint8_t { no, allowed };

/// One entry as an operator sees it.
struct Listed {
    wire::Name qname;
    Key key; ///< `qname` points at the one beside it
    wire::Rcode rcode{};
    wire::ValidationState validation{};
    base::Duration left{}; ///< of its life; negative when it is stale
    std::uint64_t hits = 0;
    std::uint32_t octets = 0;
};

/// One entry with all that is needed to keep it somewhere else and put it back.
struct Kept {
    wire::Name qname;
    Key key;                       ///< `qname` points at the one beside it
    Prepared prepared;             ///< TTLs as they were when it was kept; its lifetime is the whole one
    Notes notes;                   ///< of the text, borrowed
    base::Duration age{};          ///< since it was kept; a little below 0 where another thread kept it just now
    std::uint16_t hits = 0;        ///< stays at its end
    bool asked_for_lately = false; ///< since the clock's hand was there

    [[nodiscard]] base::Duration left() const noexcept { return prepared.lifetime - age; }
};

/// Where a visit in pages goes on: the next segment of a shard.
struct Position {
    std::uint32_t shard = 0;
    std::uint32_t segment = 0;
};

/// Shared by all workers; every call from any thread.
class Cache {
public:
    explicit Cache(const Options& options);
    ~Cache();
    Cache(const Cache&) = delete;
    Cache& operator=(const Cache&) = delete;

    /// Looks the key up. On a hit the answer is written behind the question of the begun `answer`: records with aged
    /// TTLs, RCODE, AD; TC and no records where it does not fit. On a miss `answer` is left alone.
    [[nodiscard]] Found find(const Key& key, base::Instant now, wire::MessageWriter& answer,
                             Stale stale = Stale::no) noexcept;
    /// Keeps an answer; false where it may not be kept (lifetime 0, bogus, too large). An entry of the same key goes.
    bool store(const Key& key, const Prepared& prepared, const Notes& notes, base::Instant now) noexcept;

    /// Somebody asked anew for what is past its time, in vain: for half a minute `find` gives out what there is to all
    /// who ask (RFC 8767 §5: the failure recheck timer). False where nothing is there that may be given out.
    bool renewal_failed(const Key& key, base::Instant now) noexcept;

    /// Each returns how many entries went.
    std::uint64_t flush_name(const wire::Name& name);
    std::uint64_t flush_subtree(const wire::Name& apex);
    std::uint64_t flush_all();
    /// Visits at most `limit` entries at or below `apex`, a shard at a time; false from `visit` ends it.
    void list(const wire::Name& apex, std::uint64_t limit, base::Instant now,
              const std::function<bool(const Listed&)>& visit) const;

    /// Visits every entry of `name`, whatever its type and key, with the whole message as it would be given out now
    /// (its question in lower case; stale ones with TTLs of 0). Counts as no hit.
    void look_up(const wire::Name& name, base::Instant now,
                 const std::function<void(const Listed&, base::Bytes message)>& visit) const;

    /// Visits every entry, about the oldest first; false from `visit` ends it. Its borrowed parts live as long as the
    /// call. A lock is held for a copy of 68 KiB at a time. Entries that are moved, put or removed meanwhile may be
    /// visited twice or not at all.
    void each_kept(base::Instant now, const std::function<bool(const Kept&)>& visit) const;
    /// The same by whole segments from `from` on, in the order they lie; returns where to go on, nothing at the end.
    /// Once `visit` has returned false the page ends with its segment.
    [[nodiscard]] std::optional<Position> page_of_kept(Position from, base::Instant now,
                                                       const std::function<bool(const Kept&)>& visit) const;
    /// Keeps what was kept before, with its age; its TTLs are cut to today's limits. False where there is an answer to
    /// this question already, where it is past the time that it may be given out in, and where `store` would refuse.
    bool put_back(const Kept& kept, base::Instant now);

    /// New limits; entries that are there stay as far as they fit. Where the number of shards changes (from or to a
    /// very small size) those that would have to move go.
    void reconfigure(const Options& options);
    [[nodiscard]] Options options() const;

    /// (name, help, value), gauges without the suffix `_total`.
    void each_counter(const std::function<void(const char* name, const char* help, std::uint64_t value)>& visit) const;
    /// Hits by age of the entry: upper bound in seconds (the last: infinity) and how many, not added up.
    void each_hit_age(const std::function<void(double upper_seconds, std::uint64_t count)>& visit) const;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

} // namespace sallyport::cache
