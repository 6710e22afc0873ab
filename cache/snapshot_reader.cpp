#include "cache/snapshot.hpp"
#include "cache/snapshot_format.hpp"
#include "cache/snapshot_input.hpp"
#include "cache/snapshot_sets.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

namespace sallyport::cache {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// A clock that was set right by less is the same clock.
constexpr milliseconds kClockSlack{5'000};
/// What is older has nothing left that may be given out, and its times would not mean anything.
constexpr milliseconds kOldest = std::chrono::hours{31 * 24};
/// No time that an entry had was longer: for numbers that stand in a file.
constexpr std::int64_t kLongest = microseconds{std::chrono::hours{366 * 24}}.count();

bool is_printable(char c) noexcept { return c >= ' ' && c < 0x7F; }

/// One pass over a file.
class SnapshotReader {
public:
    SnapshotReader(Cache& cache, RrsetStore* store, const SnapshotSource& source, std::uint64_t fingerprint,
                   const Moment& at, const Cancelled& cancelled)
        : cache_(cache), store_(store), input_(source), fingerprint_(fingerprint), at_(at), cancelled_(cancelled)
    {
    }

    SnapshotRead run()
    {
        if (read_header()) {
            while (read_block()) {}
        }
        return result_;
    }

private:
    /// Always false. What is told of a file is what was found first.
    bool trouble(std::uint64_t offset, const std::string& expected)
    {
        return refuse("at octet " + std::to_string(offset) + ": expected " + expected);
    }
    bool refuse(std::string why)
    {
        if (!result_.trouble) result_.trouble = std::move(why);
        return false;
    }
    /// The same where that ends the reading, which who told us to knows already.
    [[nodiscard]] bool is_cancelled()
    {
        return cancelled_.load(std::memory_order_relaxed) && !refuse("told to end before it was read");
    }

    /// Exactly so many octets; false where there are fewer, which is told.
    [[nodiscard]] bool read(base::MutableBytes room, const char* what)
    {
        const std::uint64_t start = input_.offset();
        switch (input_.read(room)) {
        case SnapshotInput::Got::all: return true;
        case SnapshotInput::Got::failed:
            return refuse("at octet " + std::to_string(input_.offset()) + ": can not be read");
        case SnapshotInput::Got::end: break;
        }
        return trouble(start, std::string{what} + ", but the file ends at octet " + std::to_string(input_.offset()));
    }

    [[nodiscard]] bool read_header()
    {
        std::array<std::uint8_t, format::kHeaderSize> octets;
        if (!read(octets, "a header")) return false;
        format::Reader in{octets};
        if (!base::equal(in.take(format::kMagic.size()), format::kMagic))
            return trouble(0, "a cache snapshot, which this is not");
        version_ = in.number<std::uint32_t>();
        if (version_ != format::kVersion && version_ != format::kOldVersion)
            return trouble(8, "version " + std::to_string(format::kVersion) + ", found " + std::to_string(version_));
        static_cast<void>(in.number<std::uint32_t>());
        const auto written = in.number<std::int64_t>();
        const auto fingerprint = in.number<std::uint64_t>();
        if (in.number<std::uint64_t>() != format::checksum(base::Bytes{octets}.first(format::kHeaderSize - 8)))
            return trouble(format::kHeaderSize - 8, "the checksum of the header");
        mark_ = format::mark_of(octets);
        return fits(written, fingerprint);
    }

    [[nodiscard]] bool fits(std::int64_t written, std::uint64_t fingerprint)
    {
        if (fingerprint != fingerprint_)
            return refuse("made under another configuration of who is asked and what is believed");
        const auto now = std::chrono::duration_cast<milliseconds>(at_.wall.time_since_epoch()).count();
        if (written > now && written - now > kClockSlack.count())
            return refuse("written " + std::to_string((written - now) / 1000) +
                          " s in the future by this machine's clock");
        if (written < 0 || now - written > kOldest.count()) return refuse("too old to be of use");
        elapsed_ = milliseconds{std::max<std::int64_t>(now - written, 0)};
        return true;
    }

    struct Block {
        std::uint64_t start = 0;
        std::uint32_t kind = 0, size = 0, records = 0;
        std::uint64_t checksum = 0; ///< of the payload
    };

    /// False where there is no more to be read.
    [[nodiscard]] bool read_block()
    {
        // Here, too: there may be any number of blocks without an answer.
        if (is_cancelled()) return false;
        Block block;
        if (!(version_ == format::kOldVersion ? read_old_head(block) : read_head(block))) return false;
        payload_.resize(block.size);
        if (!read(payload_, "a block")) return false;
        if (block.checksum != format::checksum(payload_)) {
            // Of an older file nobody knows whether the next block stands where this one says.
            if (!result_.trouble) static_cast<void>(trouble(block.start, "a block whose checksum is right"));
            return version_ != format::kOldVersion;
        }
        return take_block(block);
    }

    [[nodiscard]] bool read_old_head(Block& block)
    {
        std::array<std::uint8_t, format::kOldBlockHeadSize> head;
        block.start = input_.offset();
        if (!read(head, "a block")) return false;
        const base::Bytes fields = base::Bytes{head}.first(format::kBlockFields);
        block.checksum = take_fields(head, block).number<std::uint64_t>() ^ format::place_checksum(fields, block.start);
        return block.size <= format::kMaxBlock || trouble(block.start, "a block of at most 1 MiB");
    }

    /// Where the head is damaged: the next one that is whole.
    [[nodiscard]] bool read_head(Block& block)
    {
        std::array<std::uint8_t, format::kBlockHeadSize> head;
        if (!read(head, "a block")) return false;
        while (!is_head(head, block)) {
            if (!result_.trouble) static_cast<void>(trouble(block.start, "the head of a block"));
            if ((block.start & 0xFFFFU) == 0 && is_cancelled()) return false;
            std::shift_left(head.begin(), head.end(), 1);
            if (!read({&head.back(), 1}, "a block")) return false;
        }
        return true;
    }

    [[nodiscard]] bool is_head(base::Bytes head, Block& block) const
    {
        block.start = input_.offset() - head.size();
        format::Reader in = take_fields(head, block);
        const auto of_place = in.number<std::uint64_t>();
        block.checksum = in.number<std::uint64_t>();
        return block.size <= format::kMaxBlock &&
               of_place == format::place_checksum(head.first(format::kBlockFields), block.start ^ mark_);
    }

    static format::Reader take_fields(base::Bytes head, Block& block) noexcept
    {
        format::Reader in{head};
        block.kind = in.number<std::uint32_t>();
        block.size = in.number<std::uint32_t>();
        block.records = in.number<std::uint32_t>();
        return in;
    }

    [[nodiscard]] bool take_block(const Block& block)
    {
        switch (block.kind) {
        case format::kEnd: return end(block.start);
        case format::kAnswers: return take_records(block, [this](format::Reader& in) { return take_answer(in); });
        case format::kSets:
            return store_ == nullptr || take_records(block, [this](format::Reader& in) { return take_set(in); });
        case format::kCuts:
            return store_ == nullptr || take_records(block, [this](format::Reader& in) { return take_cut(in); });
        default: return true; // later versions may have more to tell
        }
    }

    [[nodiscard]] bool end(std::uint64_t start)
    {
        format::Reader in{payload_};
        std::array<std::uint64_t, 3> counts{};
        const std::size_t known = version_ == format::kOldVersion ? 1 : counts.size();
        for (std::size_t i = 0; i < known; ++i) counts[i] = in.number<std::uint64_t>();
        const bool all = counts[0] == answers_ && (store_ == nullptr || (counts[1] == sets_ && counts[2] == cuts_));
        if (!in.good || !all) return trouble(start, "as many answers as the end counts");
        std::uint8_t one;
        if (input_.read({&one, 1}) == SnapshotInput::Got::all)
            return trouble(input_.offset() - 1, "the end of the file");
        return false; // all is well, and there is no more
    }

    /// What `take` says is false where there is no whole record.
    template <class Take>
    [[nodiscard]] bool take_records(const Block& block, Take&& take)
    {
        format::Reader in{payload_};
        for (std::uint32_t i = 0; i < block.records; ++i) {
            if (is_cancelled()) return false;
            if (take(in)) continue;
            static_cast<void>(trouble(block.start, "a block of whole records"));
            return version_ != format::kOldVersion;
        }
        if (in.at_end()) return true;
        static_cast<void>(trouble(block.start, "a block of as many records as it counts"));
        return version_ != format::kOldVersion;
    }

    [[nodiscard]] bool take_set(format::Reader& in)
    {
        auto set = format::take_set(in, at_.now, elapsed_);
        if (!in.good) return false;
        ++sets_;
        ++(set && store_->bring_back(std::move(*set), at_.now) ? result_.sets : result_.sets_left_out);
        return true;
    }

    [[nodiscard]] bool take_cut(format::Reader& in)
    {
        auto named = format::take_cut(in, at_.now, elapsed_, wire::Ttl{store_->options().max_ttl});
        if (!in.good) return false;
        ++cuts_;
        const bool back = named && store_->cuts().put_back(named->zone, std::move(named->cut), at_.now);
        ++(back ? result_.cuts : result_.sets_left_out);
        return true;
    }

    /// False where it is no record; one that is of no use is one all the same.
    [[nodiscard]] bool take_answer(format::Reader& in)
    {
        Kept kept;
        kept.key.partition = in.number<std::uint32_t>();
        const unsigned flags = in.number<std::uint8_t>();
        const unsigned validation = in.number<std::uint8_t>();
        kept.hits = in.number<std::uint16_t>();
        const auto age = in.number<std::int64_t>();
        const auto lifetime = in.number<std::int64_t>();
        if ((flags & 32U) != 0) {
            kept.notes.ede = static_cast<wire::ExtendedError>(in.number<std::uint16_t>());
            const std::string_view text = base::as_text(in.take(in.number<std::uint8_t>()));
            if (std::ranges::all_of(text, is_printable)) kept.notes.ede_text = text; // as all that we note ourselves
        }
        kept.prepared.message = in.take(in.number<std::uint16_t>());
        if (!in.good) return false;
        ++answers_;
        kept.key.dnssec_ok = (flags & 1U) != 0;
        kept.key.checking_disabled = (flags & 2U) != 0;
        kept.prepared.negative = (flags & 4U) != 0;
        kept.prepared.authentic = (flags & 8U) != 0;
        kept.asked_for_lately = (flags & 16U) != 0;
        const bool known = validation <= static_cast<unsigned>(wire::ValidationState::indeterminate);
        const bool lives = age > -kLongest && age < kLongest && lifetime > 0 && lifetime < kLongest;
        if (known && lives) kept.notes.validation = static_cast<wire::ValidationState>(validation);
        if (!known || !lives || !put_back(kept, microseconds{age}, microseconds{lifetime})) ++result_.left_out;
        return true;
    }

    [[nodiscard]] bool put_back(Kept& kept, microseconds age, microseconds lifetime)
    {
        const auto message = wire::MessageView::parse(kept.prepared.message);
        if (!message || message->header().question_count != 1) return false;
        kept.qname = message->qname().to_name().lower();
        kept.key.qname = &kept.qname;
        kept.key.qtype = message->qtype();
        kept.key.qclass = message->qclass();
        kept.prepared.rcode = message->rcode();
        kept.prepared.lifetime = lifetime;
        kept.age = age + elapsed_;
        if (!cache_.put_back(kept, at_.now)) return false;
        ++result_.entries;
        return true;
    }

    Cache& cache_;
    RrsetStore* store_;
    SnapshotInput input_;
    std::uint64_t fingerprint_;
    Moment at_;
    const Cancelled& cancelled_;
    SnapshotRead result_{true};
    milliseconds elapsed_{0};
    std::uint32_t version_ = 0;
    std::uint64_t mark_ = 0;
    std::uint64_t answers_ = 0, sets_ = 0, cuts_ = 0; ///< seen, of use or not
    std::vector<std::uint8_t> payload_;
};

std::string system_text(int error) { return std::error_code{error, std::generic_category()}.message(); }

} // namespace

SnapshotRead read_snapshot(Cache& cache, RrsetStore* store, const SnapshotSource& source, std::uint64_t fingerprint,
                           Moment at, const Cancelled& cancelled)
{
    return SnapshotReader{cache, store, source, fingerprint, at, cancelled}.run();
}

SnapshotRead load_snapshot(Cache& cache, RrsetStore* store, const std::string& file, std::uint64_t fingerprint,
                           Moment at, const Cancelled& cancelled)
{
    // Not waiting: a pipe in its place has no end, nor a beginning.
    const int in = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (in < 0) {
        SnapshotRead none;
        none.found = errno != ENOENT;
        if (none.found) none.trouble = system_text(errno);
        return none;
    }
    const SnapshotSource source = [in](base::MutableBytes room) -> std::optional<std::size_t> {
        for (;;) {
            const ssize_t size = ::read(in, room.data(), room.size());
            if (size >= 0) return static_cast<std::size_t>(size);
            if (errno != EINTR) return std::nullopt;
        }
    };
    SnapshotRead result = read_snapshot(cache, store, source, fingerprint, at, cancelled);
    ::close(in);
    return result;
}

} // namespace sallyport::cache
