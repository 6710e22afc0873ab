#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/letter_case.hpp"
#include "wire/octet_copy.hpp"
#include "wire/types.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport::wire {

inline constexpr std::size_t kMaxNameSize = 255;
inline constexpr std::size_t kMaxLabelSize = 63;

/// A domain name as an absolute, uncompressed wire form held in place: no allocation, copies only what is used.
///
/// Letters keep the case they came in; comparison, hashing and order ignore it (RFC 4343).
class Name {
public:
    /// The root.
    Name() noexcept { octets_[0] = 0; }
    Name(const Name& other) noexcept { assign(other); }
    Name& operator=(const Name& other) noexcept
    {
        if (this != &other) assign(other);
        return *this;
    }

    /// Takes a whole uncompressed name, which must fill `wire` exactly.
    /// Errors: `truncated`, `bad_label`, `name_too_long`, `trailing_bytes`.
    [[nodiscard]] static base::Result<Name, ParseError> from_wire(base::Bytes wire) noexcept;
    /// Takes presentation format (RFC 1035 §5.1: `\.`, `\DDD`). A missing last dot is added: every name is absolute.
    /// `origin`, where given, is appended to names without one. Errors: `bad_text`, `bad_label`, `name_too_long`.
    [[nodiscard]] static base::Result<Name, ParseError> from_text(std::string_view text,
                                                                  const Name* origin = nullptr) noexcept;

    [[nodiscard]] base::Bytes wire() const noexcept { return {octets_.data(), size_}; }
    /// 1 to 255, the root label included.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool is_root() const noexcept { return size_ == 1; }
    [[nodiscard]] bool is_wildcard() const noexcept { return size_ >= 2 && octets_[0] == 1 && octets_[1] == '*'; }
    /// Labels without the root's: `www.example.` has 2.
    [[nodiscard]] unsigned label_count() const noexcept;

    void make_lower() noexcept { lower_copy(octets_.data(), octets_.data(), size_); }
    [[nodiscard]] Name lower() const noexcept;
    /// The name without its first `labels` labels; the root where there are not so many.
    [[nodiscard]] Name parent(unsigned labels = 1) const noexcept;
    /// This name with its first label put before `ancestor`: synthesis from a wildcard is `*.<ancestor>`.
    [[nodiscard]] base::Result<Name, ParseError> prepend(base::Bytes label) const noexcept;
    /// DNAME substitution (RFC 6672 §2.2): `owner` at the end of this name is replaced by `target`. This name must be
    /// under `owner`. Error: `name_too_long` (the answer is then YXDOMAIN).
    [[nodiscard]] base::Result<Name, ParseError> substitute(const Name& owner, const Name& target) const noexcept;

    /// True for the name itself and everything below it.
    [[nodiscard]] bool is_under(const Name& ancestor) const noexcept;
    /// Letters compare equal in both cases.
    friend bool operator==(const Name& left, const Name& right) noexcept
    {
        return left.size_ == right.size_ && equal_ignoring_case(left.octets_.data(), right.octets_.data(), left.size_);
    }
    /// Canonical order (RFC 4034 §6.1).
    friend std::strong_ordering operator<=>(const Name& left, const Name& right) noexcept;

    /// Keyed by this process and equal for equal names, whatever their case.
    [[nodiscard]] std::uint64_t hash() const noexcept;

    /// Master-file form with the last dot: printable ASCII, `\.` and `\\` and `\DDD` for the rest. Safe for logs.
    [[nodiscard]] std::string to_text() const;

private:
    friend class NameBuilder;
    void assign(const Name& other) noexcept
    {
        size_ = other.size_;
        copy_octets(octets_.data(), other.octets_.data(), size_);
    }

    // Only the first size_ octets mean anything; the rest is never written, so that a Name costs what it holds.
    std::array<std::uint8_t, kMaxNameSize> octets_;
    std::uint8_t size_ = 1;
};

/// Fills a Name without a second copy: for the parser that follows compression pointers.
class NameBuilder {
public:
    explicit NameBuilder(Name& name) noexcept : name_(name) { name_.size_ = 0; }
    /// Appends labels as they stand on the wire. False when 255 octets do not hold them.
    [[nodiscard]] bool append(base::Bytes labels) noexcept
    {
        if (name_.size_ + labels.size() > kMaxNameSize) return false;
        copy_octets(name_.octets_.data() + name_.size_, labels.data(), labels.size());
        name_.size_ = static_cast<std::uint8_t>(name_.size_ + labels.size());
        return true;
    }

private:
    Name& name_;
};

/// Whether uncompressed wire octets are one whole name.
/// Errors: `truncated`, `bad_label`, `name_too_long`, `trailing_bytes`.
[[nodiscard]] base::Result<void, ParseError> check_name(base::Bytes wire) noexcept;

/// Size of the uncompressed name at the start of `octets`, which may go on behind it; errors as `check_name` has them.
[[nodiscard]] base::Result<std::size_t, ParseError> measure_name(base::Bytes octets) noexcept;

/// Hash of a wire-format name that is already in lower case: the same value as `Name::hash()`.
[[nodiscard]] std::uint64_t hash_lower(base::Bytes lower_case_name) noexcept;

} // namespace sallyport::wire
