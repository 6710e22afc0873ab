#include "apps/root_file.hpp"

#include "base/siphash.hpp"
#include "wire/framing.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

namespace sallyport::apps {

namespace {

constexpr std::string_view kMagic = "SALLYXFR";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kSummed = 24; // of the header, before the checksum
constexpr std::size_t kHeader = 32;
constexpr base::SipKey kKey{'r', 'o', 'o', 't', ' ', 'z', 'o', 'n', 'e', ' ', 'o', 'n', ' ', 'd', 's', 'k'};
// Classes and headers of messages are not counted among the octets of a zone.
constexpr std::uint64_t kRoom = 1U << 16U;

base::Error damaged(const std::string& what)
{
    return {base::ErrorCode::invalid, "the kept root zone is damaged: " + what, {}};
}

void store_be64(base::MutableBytes octets, std::size_t at, std::uint64_t value)
{
    base::store_be32(octets, at, static_cast<std::uint32_t>(value >> 32U));
    base::store_be32(octets, at + 4, static_cast<std::uint32_t>(value & 0xFFFF'FFFFU));
}

std::uint64_t load_be64(base::Bytes octets, std::size_t at)
{
    return (std::uint64_t{base::load_be32(octets, at)} << 32U) | base::load_be32(octets, at + 4);
}

std::uint64_t checksum_of(base::Bytes header, base::Bytes body)
{
    return base::siphash24(header.first(kSummed), kKey) ^ base::siphash24(body, kKey);
}

zones::TransferLimits widened(const zones::TransferLimits& limits)
{
    return {limits.octets * 2 + kRoom, limits.records};
}

} // namespace

std::string write_root_octets(const zones::TransferredZone& zone)
{
    const auto body = zones::write_transfer(zone, 0);
    std::vector<std::uint8_t> header(kHeader);
    std::copy(kMagic.begin(), kMagic.end(), header.begin());
    base::store_be32(header, 8, kVersion);
    store_be64(header, 16, body.size());
    store_be64(header, kSummed, checksum_of(header, body));
    return std::string{base::as_text(header)} + std::string{base::as_text(body)};
}

base::Result<zones::TransferredZone> read_root_octets(base::Bytes octets, const zones::TransferLimits& limits)
{
    if (octets.size() < kHeader || base::as_text(octets.first(kMagic.size())) != kMagic)
        return damaged("it does not begin as one");
    if (base::load_be32(octets, 8) != kVersion) return damaged("it is of another version");
    const base::Bytes body = octets.subspan(kHeader);
    if (load_be64(octets, 16) != body.size()) return damaged("it has another length than it says");
    if (load_be64(octets, kSummed) != checksum_of(octets, body)) return damaged("its checksum is wrong");
    zones::TransferReader reader{wire::Name{}, 0, widened(limits)};
    wire::FrameReader frames{body};
    auto step = zones::TransferReader::Step::more;
    while (step == zones::TransferReader::Step::more) {
        const auto message = frames.next();
        if (!message) return damaged("it ends before the zone does");
        step = reader.take(*message);
    }
    if (step == zones::TransferReader::Step::failed) return damaged(std::string{zones::to_string(reader.error())});
    return reader.take_zone();
}

std::optional<base::Result<KeptRoot>> read_root_file(const std::string& file, const zones::TransferLimits& limits)
{
    struct stat status{};
    const bool is_there = ::stat(file.c_str(), &status) == 0;
    if (!is_there && errno == ENOENT) return std::nullopt;
    // To open a pipe would wait for who writes to it.
    if (is_there && !S_ISREG(status.st_mode))
        return base::Error{base::ErrorCode::unreadable, "the kept root zone is no regular file", {file}};
    if (is_there && static_cast<std::uint64_t>(status.st_size) > widened(limits).octets + kHeader)
        return base::Error{base::ErrorCode::limit,
                           "the kept root zone is larger than 'resolve.local_root.limits.size' allows",
                           {file}};
    std::ifstream input(file, std::ios::binary);
    if (!is_there || !input) {
        auto error = base::system_error("the kept root zone can not be read", errno);
        error.position.file = file;
        return error;
    }
    // One more than there was a moment ago: what has grown since is of another length than it says.
    std::string text(static_cast<std::size_t>(status.st_size) + 1, '\0');
    input.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(input.gcount(), 0)));
    auto zone = read_root_octets(base::as_bytes(text), limits);
    if (!zone) {
        base::Error error = zone.error();
        error.position.file = file;
        return error;
    }
    return KeptRoot{std::move(*zone), status.st_mtime};
}

base::Result<void> touch_root_file(const std::string& file, std::int64_t date)
{
    const timespec moment{static_cast<time_t>(date), 0};
    const timespec times[2] = {moment, moment};
    if (::utimensat(AT_FDCWD, file.c_str(), times, 0) != 0) return base::system_error("can not touch " + file, errno);
    return {};
}

} // namespace sallyport::apps
