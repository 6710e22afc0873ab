#pragma once

#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"
#include "wire/name.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

/// What the tests of this module share.
namespace sallyport::wire::test {

using Octets = std::vector<std::uint8_t>;

inline Name name(std::string_view text) { return Name::from_text(text).value(); }

inline Octets bytes_of(base::Bytes bytes) { return {bytes.begin(), bytes.end()}; }

inline Octets text_bytes(std::string_view text) { return bytes_of(base::as_bytes(text)); }

/// Octets from hexadecimal digits; what is no digit is left out.
inline Octets from_hex(std::string_view text)
{
    Octets out;
    int high = -1;
    for (const char c : text) {
        int value = -1;
        if (c >= '0' && c <= '9') value = c - '0';
        if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
        if (c >= 'A' && c <= 'F') value = c - 'A' + 10;
        if (value < 0) continue;
        if (high >= 0) out.push_back(static_cast<std::uint8_t>(high * 16 + value));
        high = high >= 0 ? -1 : value;
    }
    return out;
}

/// Puts messages together octet by octet, right or wrong.
class Raw {
public:
    Raw& u8(unsigned value)
    {
        octets.push_back(static_cast<std::uint8_t>(value));
        return *this;
    }
    Raw& u16(unsigned value) { return u8(value >> 8U & 0xFFU).u8(value & 0xFFU); }
    Raw& u32(std::uint32_t value) { return u16(value >> 16U).u16(value & 0xFFFFU); }
    Raw& header(unsigned questions, unsigned answers = 0, unsigned authorities = 0, unsigned additionals = 0)
    {
        return u16(0x1234).u16(0x0100).u16(questions).u16(answers).u16(authorities).u16(additionals);
    }
    Raw& put(base::Bytes bytes)
    {
        std::copy(bytes.begin(), bytes.end(), std::back_inserter(octets));
        return *this;
    }
    Raw& owner(std::string_view text) { return put(name(text).wire()); }
    Raw& pointer(unsigned target) { return u16(0xC000U | target); }
    Raw& question(std::string_view qname, RrType qtype = RrType::A)
    {
        return owner(qname).u16(static_cast<unsigned>(qtype)).u16(1);
    }
    /// Everything of a record but its owner.
    Raw& fields(RrType type, base::Bytes rdata, std::uint32_t ttl = 300)
    {
        return u16(static_cast<unsigned>(type)).u16(1).u32(ttl).u16(static_cast<unsigned>(rdata.size())).put(rdata);
    }
    Raw& opt(base::Bytes rdata, std::uint32_t ttl = 0)
    {
        return u8(0).u16(41).u16(1232).u32(ttl).u16(static_cast<unsigned>(rdata.size())).put(rdata);
    }
    Octets octets;
};

/// Where the material stands that nobody here wrote; it may be absent.
inline std::filesystem::path corpus(std::string_view part)
{
    const char* shared = std::getenv("SALLYPORT_SHARED");
    const std::filesystem::path root =
        shared != nullptr ? std::filesystem::path{shared} : std::filesystem::path{SALLYPORT_SOURCE_DIR} / "../shared";
    return root / "corpus/wire/dns" / part;
}

inline std::string read_file(const std::filesystem::path& path)
{
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

} // namespace sallyport::wire::test
