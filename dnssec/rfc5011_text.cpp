#include "dnssec/rfc5011.hpp"

#include "wire/rdata.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <optional>

namespace sallyport::dnssec {

namespace {

constexpr std::array<std::string_view, 6> kStateNames = {" START ", "ADDPEND", " VALID ",
                                                         "MISSING", "REVOKED", "REMOVED"};
constexpr std::size_t kMostKeys = 256;

[[nodiscard]] std::string date_text(std::int64_t seconds)
{
    const std::time_t time = seconds;
    std::tm parts{};
    if (gmtime_r(&time, &parts) == nullptr) return "?";
    std::array<char, 40> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%a %b %e %H:%M:%S %Y", &parts)};
}

/// Bits of the key, for whoever reads the file.
[[nodiscard]] std::size_t key_bits(base::Bytes rdata) noexcept
{
    switch (rdata[3]) {
    case 13:
    case 14: return (rdata.size() - 4) * 4;
    case 15: return 256;
    case 16: return 456;
    default: break;
    }
    const std::size_t exponent = rdata[4] != 0 ? rdata[4] : (rdata.size() > 6 ? base::load_be16(rdata, 5) : 0);
    const std::size_t before = 4 + (rdata[4] != 0 ? 1U : 3U) + exponent;
    return rdata.size() > before ? (rdata.size() - before) * 8 : 0;
}

[[nodiscard]] std::string key_line(const wire::Name& zone, const ManagedKey& key)
{
    const auto state = static_cast<std::size_t>(key.state);
    return zone.to_text() + '\t' + std::to_string(key.ttl) + "\tIN\tDNSKEY\t" +
           wire::rdata_to_text(wire::RrType::DNSKEY, key.rdata) + " ;{id = " + std::to_string(key_tag(key.rdata)) +
           ((key.rdata[1] & 1U) != 0 ? " (ksk)" : " (zsk)") + ", size = " + std::to_string(key_bits(key.rdata)) +
           "b} ;;state=" + std::to_string(state) + " [ " + std::string{kStateNames[state]} +
           " ] ;;count=" + std::to_string(key.count) + " ;;lastchange=" + std::to_string(key.changed) + " ;;" +
           date_text(key.changed) + '\n';
}

template <class Number>
[[nodiscard]] std::optional<Number> read_number(std::string_view text) noexcept
{
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || value < 0 || end == text.data()) return std::nullopt;
    return value;
}

/// The number behind `;;name=` or `;;name: ` in a line.
[[nodiscard]] std::optional<std::int64_t> find_number(std::string_view line, std::string_view name) noexcept
{
    const std::size_t at = line.find(name);
    return at == std::string_view::npos ? std::nullopt : read_number<std::int64_t>(line.substr(at + name.size()));
}

} // namespace

std::string ManagedAnchor::to_text() const
{
    std::string text = "; autotrust trust anchor file\n";
    if (is_revoked()) {
        text += ";;REVOKED\n"
                "; The zone has all keys revoked, and is\n"
                "; considered as if it has no trust anchors.\n"
                "; the remainder of the file is the last probe.\n"
                "; to restart the trust anchor, overwrite this file.\n"
                "; with one containing valid DNSKEYs or DSes.\n";
    }
    const auto date = [&text](std::string_view name, std::int64_t when) {
        text.append(name) += std::to_string(when) + " ;;" + date_text(when) + '\n';
    };
    text += ";;id: " + zone_.to_text() + " 1\n";
    date(";;last_queried: ", last_queried_);
    date(";;last_success: ", last_success_);
    date(";;next_probe_time: ", next_probe_);
    text += ";;query_failed: " + std::to_string(query_failed_) + '\n';
    text += ";;query_interval: " + std::to_string(query_interval_) + '\n';
    text += ";;retry_time: " + std::to_string(retry_time_) + '\n';
    for (const auto& rdata : ds_) text += dnssec::to_text(zone_, wire::RrType::DS, rdata) + '\n';
    for (const ManagedKey& key : keys_) {
        if (key.state != KeyState::start && key.state != KeyState::removed) text += key_line(zone_, key);
    }
    return text;
}

/// Reads the state file line by line into an anchor.
class StateReader {
public:
    StateReader(ManagedAnchor& anchor, const std::string& file, std::uint32_t lines_before)
        : anchor_(anchor), file_(file), line_number_(lines_before)
    {
    }

    [[nodiscard]] base::Result<void> read(std::string_view text)
    {
        bool has_zone = false;
        while (!text.empty()) {
            ++line_number_;
            const std::string_view line = text.substr(0, text.find('\n'));
            text.remove_prefix(std::min(text.size(), line.size() + 1));
            if (line.starts_with(";;")) {
                read_variable(line.substr(2));
            } else if (const auto error = read_record(line, has_zone)) {
                return *error;
            }
        }
        if (!has_zone) return fault("no key and no DS in it");
        // Whatever stands in the file: §2.3 bounds them.
        constexpr std::int64_t kOneHour = 3'600;
        anchor_.query_interval_ = std::clamp<std::int64_t>(anchor_.query_interval_, kOneHour, 15 * 24 * kOneHour);
        anchor_.retry_time_ = std::clamp<std::int64_t>(anchor_.retry_time_, kOneHour, 24 * kOneHour);
        return {};
    }

private:
    [[nodiscard]] base::Error fault(std::string message) const
    {
        return {base::ErrorCode::invalid, std::move(message), {file_, line_number_, 1}};
    }

    void read_variable(std::string_view line)
    {
        const auto take = [line](std::string_view name, auto& field) {
            if (!line.starts_with(name)) return;
            using Field = std::remove_reference_t<decltype(field)>;
            if (const auto number = find_number(line, name)) field = static_cast<Field>(*number);
        };
        take("last_queried: ", anchor_.last_queried_);
        take("last_success: ", anchor_.last_success_);
        take("next_probe_time: ", anchor_.next_probe_);
        take("query_failed: ", anchor_.query_failed_);
        take("query_interval: ", anchor_.query_interval_);
        take("retry_time: ", anchor_.retry_time_);
    }

    /// Nothing, or what is wrong.
    [[nodiscard]] std::optional<base::Error> read_record(std::string_view line, bool& has_zone)
    {
        const std::string_view record = line.substr(0, line.find(';'));
        if (record.find_first_not_of(" \t\r") == std::string_view::npos) return std::nullopt;
        const bool is_revoked = (find_number(line, ";;state=").value_or(2) == 4);
        // The reader of anchors refuses revoked keys, which this file may hold: their flag is put back behind.
        TrustAnchors found;
        base::Problems problems;
        read_anchors(is_revoked ? without_revoked_flag(record) : std::string{record}, file_, 0, found, problems);
        if (!problems.empty()) return fault(problems[0].message);
        if (found.points().empty()) return std::nullopt;
        const AnchorPoint& point = found.points()[0];
        if (has_zone && !(point.zone == anchor_.zone_)) return fault("records of two zones in one file");
        has_zone = true;
        anchor_.zone_ = point.zone;
        for (const auto& ds : point.ds) anchor_.ds_.push_back(ds);
        for (const auto& key : point.dnskeys) {
            if (anchor_.keys_.size() >= kMostKeys) return fault("more keys than one zone can have");
            add_key(key, line, is_revoked);
        }
        return std::nullopt;
    }

    /// Whatever other flags a zone sets: what was written is read again.
    [[nodiscard]] static std::string without_revoked_flag(std::string_view record)
    {
        constexpr std::string_view kType = "DNSKEY";
        constexpr std::string_view kBlank = " \t";
        constexpr std::uint16_t kRevoked = 0x80;
        std::string text{record};
        std::size_t at = text.find(kType);
        while (at != std::string::npos && (at == 0 || kBlank.find(text[at - 1]) == std::string_view::npos))
            at = text.find(kType, at + 1);
        if (at == std::string::npos) return text;
        const std::size_t start = text.find_first_not_of(kBlank, at + kType.size());
        if (start == std::string::npos) return text;
        const std::size_t end = std::min(text.find_first_not_of("0123456789", start), text.size());
        const auto flags = read_number<std::uint16_t>(std::string_view{text}.substr(start, end - start));
        if (flags && (*flags & kRevoked) != 0) text.replace(start, end - start, std::to_string(*flags ^ kRevoked));
        return text;
    }

    void add_key(base::Bytes rdata, std::string_view line, bool is_revoked)
    {
        ManagedKey key;
        key.rdata.assign(rdata.begin(), rdata.end());
        if (is_revoked) key.rdata[1] |= 0x80U;
        const std::int64_t state = find_number(line, ";;state=").value_or(2); // without one it is configured: valid
        key.state = state >= 1 && state <= 5 ? static_cast<KeyState>(state) : KeyState::start;
        key.count = static_cast<std::uint32_t>(std::min<std::int64_t>(find_number(line, ";;count=").value_or(0), 250));
        key.changed = find_number(line, ";;lastchange=").value_or(0);
        key.ttl = read_ttl(line);
        anchor_.keys_.insert(anchor_.keys_.begin(), std::move(key)); // as it was written: newest first
    }

    [[nodiscard]] static std::uint32_t read_ttl(std::string_view line)
    {
        const std::size_t name_end = line.find_first_of(" \t");
        const std::size_t at = name_end == std::string_view::npos ? name_end : line.find_first_not_of(" \t", name_end);
        if (at == std::string_view::npos) return 3'600;
        return read_number<std::uint32_t>(line.substr(at)).value_or(3'600);
    }

    ManagedAnchor& anchor_;
    const std::string& file_;
    std::uint32_t line_number_;
};

base::Result<ManagedAnchor> ManagedAnchor::from_text(std::string_view text, const std::string& file,
                                                     std::uint32_t lines_before)
{
    ManagedAnchor anchor{wire::Name{}};
    const auto read = StateReader{anchor, file, lines_before}.read(text);
    if (!read) return read.error();
    return anchor;
}

} // namespace sallyport::dnssec
