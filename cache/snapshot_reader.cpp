#include "cache/snapshot.hpp"
#include "cache/snapshot_format.hpp"

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
    SnapshotReader(Cache& cache, const SnapshotSource& source, std::uint64_t fingerprint, const Moment& at,
                   const Cancelled& cancelled)
        : cache_(cache), source_(source), fingerprint_(fingerprint), at_(at), cancelled_(cancelled)
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
    /// Always false: what ends the reading.
    bool trouble(std::uint64_t offset, const std::string& expected)
    {
        result_.trouble = "at octet " + std::to_string(offset) + ": expected " + expected;
        return false;
    }
    bool refuse(std::string why)
    {
        result_.trouble = std::move(why);
        return false;
    }

    /// Exactly so many octets; false where there are fewer, which is told.
    [[nodiscard]] bool read(base::MutableBytes room, const char* what)
    {
        const std::uint64_t start = offset_;
        while (!room.empty()) {
            const auto size = source_(room);
            if (!size) return refuse("at octet " + std::to_string(offset_) + ": can not be read");
            if (*size == 0)
                return trouble(start, std::string{what} + ", but the file ends at octet " + std::to_string(offset_));
            offset_ += *size;
            room = room.subspan(*size);
        }
        return true;
    }

    [[nodiscard]] bool read_header()
    {
        std::array<std::uint8_t, format::kHeaderSize> octets;
        if (!read(octets, "a header")) return false;
        format::Reader in{octets};
        if (!base::equal(in.take(format::kMagic.size()), format::kMagic))
            return trouble(0, "a cache snapshot, which this is not");
        if (const auto version = in.number<std::uint32_t>(); version != format::kVersion)
            return trouble(8, "version " + std::to_string(format::kVersion) + ", found " + std::to_string(version));
        static_cast<void>(in.number<std::uint32_t>());
        const auto written = in.number<std::int64_t>();
        const auto fingerprint = in.number<std::uint64_t>();
        if (in.number<std::uint64_t>() != format::checksum(base::Bytes{octets}.first(format::kHeaderSize - 8)))
            return trouble(format::kHeaderSize - 8, "the checksum of the header");
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

    [[nodiscard]] bool read_block()
    {
        // Here, too: there may be any number of blocks without an answer.
        if (cancelled_.load(std::memory_order_relaxed)) return refuse("told to end before it was read");
        const std::uint64_t start = offset_;
        std::array<std::uint8_t, format::kBlockHeadSize> head;
        if (!read(head, "a block")) return false;
        format::Reader in{head};
        const auto kind = in.number<std::uint32_t>();
        const auto size = in.number<std::uint32_t>();
        const auto records = in.number<std::uint32_t>();
        const auto sum = in.number<std::uint64_t>();
        if (size > format::kMaxBlock) return trouble(start, "a block of at most 1 MiB");
        payload_.resize(size);
        if (!read(payload_, "a block")) return false;
        format::Writer place;
        place.append(base::Bytes{head}.first(format::kBlockHeadSize - 8));
        place.number(start);
        if (sum != (format::checksum(place.octets) ^ format::checksum(payload_)))
            return trouble(start, "a block whose checksum is right");
        if (kind == format::kEnd) return end(start);
        // Blocks of a kind that is not known are passed over: later versions may have more to tell.
        return kind != format::kAnswers || take_block(start, records);
    }

    [[nodiscard]] bool end(std::uint64_t start)
    {
        format::Reader in{payload_};
        if (in.number<std::uint64_t>() != seen_) return trouble(start, "as many answers as the end counts");
        std::uint8_t one;
        if (const auto more = source_({&one, 1}); more && *more > 0) return trouble(offset_, "the end of the file");
        return false; // all is well, and there is no more
    }

    [[nodiscard]] bool take_block(std::uint64_t start, std::uint32_t records)
    {
        format::Reader in{payload_};
        for (std::uint32_t i = 0; i < records; ++i) {
            if (cancelled_.load(std::memory_order_relaxed)) return refuse("told to end before it was read");
            if (!take_record(in)) return trouble(start, "a block of whole answers");
        }
        return in.at_end() || trouble(start, "a block of as many answers as it counts");
    }

    /// False where it is no record; one that is of no use is one all the same.
    [[nodiscard]] bool take_record(format::Reader& in)
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
        ++seen_;
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
    const SnapshotSource& source_;
    std::uint64_t fingerprint_;
    Moment at_;
    const Cancelled& cancelled_;
    SnapshotRead result_{true};
    milliseconds elapsed_{0};
    std::uint64_t offset_ = 0;
    std::uint64_t seen_ = 0;
    std::vector<std::uint8_t> payload_;
};

std::string system_text(int error) { return std::error_code{error, std::generic_category()}.message(); }

} // namespace

SnapshotRead read_snapshot(Cache& cache, const SnapshotSource& source, std::uint64_t fingerprint, Moment at,
                           const Cancelled& cancelled)
{
    return SnapshotReader{cache, source, fingerprint, at, cancelled}.run();
}

SnapshotRead load_snapshot(Cache& cache, const std::string& file, std::uint64_t fingerprint, Moment at,
                           const Cancelled& cancelled)
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
    SnapshotRead result = read_snapshot(cache, source, fingerprint, at, cancelled);
    ::close(in);
    return result;
}

} // namespace sallyport::cache
