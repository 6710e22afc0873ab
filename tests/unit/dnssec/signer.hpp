#pragma once

#include "base/bytes.hpp"
#include "base/handle.hpp"
#include "dnssec/canonical.hpp"
#include "dnssec/denial.hpp"
#include "dnssec/keys.hpp"
#include "dnssec/records.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <openssl/evp.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// A small signer for tests: keys made at test time, signatures with whatever is to be wrong with them, tiny zones with
/// their NSEC or NSEC3 chain. For any test program: it needs sallyport_dnssec alone.
namespace sallyport::dnssec_testing {

using Octets = std::vector<std::uint8_t>;

[[nodiscard]] wire::Name name(std::string_view text);
/// RDATA from presentation format; names are absolute.
[[nodiscard]] Octets rdata(wire::RrType type, std::string_view text);

/// A private key and its DNSKEY. `flags` 256 is a ZSK, 257 a KSK.
class SigningKey {
public:
    /// Algorithms 5, 7, 8, 10, 13, 14, 15, 16. `rsa_bits` is for those of RSA.
    [[nodiscard]] static SigningKey make(std::uint8_t algorithm, std::uint16_t flags = 257, unsigned rsa_bits = 1024);

    [[nodiscard]] const Octets& dnskey() const noexcept { return dnskey_; }
    [[nodiscard]] std::uint8_t algorithm() const noexcept { return dnskey_[3]; }
    [[nodiscard]] std::uint16_t tag() const noexcept { return dnssec::key_tag(dnskey_); }
    [[nodiscard]] bool is_ksk() const noexcept { return (dnskey_[1] & 1U) != 0; }
    [[nodiscard]] Octets ds(const wire::Name& zone, std::uint8_t digest_type = 2) const;
    /// The same key with other flags: 385 is a revoked KSK.
    void set_flags(std::uint16_t flags) { base::store_be16(dnskey_, 0, flags); }
    /// A signature as RRSIG holds it.
    [[nodiscard]] Octets sign(base::Bytes data) const;

private:
    base::Handle<EVP_PKEY, EVP_PKEY_free> key_;
    Octets dnskey_;
};

/// An RRset that owns its octets.
struct OwnedRrset {
    wire::Name owner;
    wire::RrType type{};
    std::uint32_t ttl = 3600;
    std::vector<Octets> rdatas;
    std::vector<Octets> signatures; ///< RDATA of RRSIG

    /// Borrows from this object; good until it changes or `view` is called again.
    [[nodiscard]] dnssec::RrsetView view() const;

private:
    mutable std::vector<base::Bytes> rdata_views_;
    mutable std::vector<base::Bytes> signature_views_;
};

[[nodiscard]] OwnedRrset rrset(std::string_view owner, wire::RrType type,
                               std::initializer_list<std::string_view> rdatas, std::uint32_t ttl = 3600);

/// What a signature says; unset parts are as they should be.
struct SignatureFields {
    std::int64_t inception = 0;
    std::int64_t expiration = 0;
    std::optional<std::uint8_t> labels{}; ///< fewer than the owner's: signed as a wildcard
    std::optional<std::uint32_t> original_ttl{};
    std::optional<std::uint16_t> key_tag{};
    std::optional<std::uint8_t> algorithm{};
    std::optional<wire::RrType> type_covered{};
    bool broken = false; ///< one bit of the signature is wrong
};
/// RDATA of an RRSIG over `rrset` by `key` of `zone`.
[[nodiscard]] Octets make_rrsig(const OwnedRrset& rrset, const SigningKey& key, const wire::Name& zone,
                                const SignatureFields& fields);

struct Chain {
    bool nsec3 = false;
    std::uint16_t iterations = 0;
    Octets salt{};
    bool opt_out = false;
};

/// A tiny zone: add records, sign, look up.
class TestZone {
public:
    /// Signatures are good from a day before `now` for 30 days. SOA and NS are made.
    TestZone(std::string_view apex, std::int64_t now);

    /// `owner` absolute, or relative to the apex where it has no last dot; `@` is the apex.
    void add(std::string_view owner, wire::RrType type, std::string_view rdata_text, std::uint32_t ttl = 3600);
    void add(const wire::Name& owner, wire::RrType type, Octets rdata, std::uint32_t ttl = 3600);
    SigningKey& add_key(std::uint8_t algorithm, std::uint16_t flags = 257, unsigned rsa_bits = 1024);

    /// Makes DNSKEY, the chain and the signatures. KSKs sign the keys, ZSKs the rest; one kind alone does both. NS of
    /// delegations and what is below them is not signed.
    void sign(const Chain& chain = {});

    [[nodiscard]] const wire::Name& apex() const noexcept { return apex_; }
    [[nodiscard]] const std::deque<SigningKey>& keys() const noexcept { return keys_; }
    /// DS RRset of this zone for its parent, of all KSKs (or all keys).
    [[nodiscard]] std::vector<Octets> ds(std::uint8_t digest_type = 2) const;
    [[nodiscard]] const OwnedRrset* find(std::string_view owner, wire::RrType type) const;
    [[nodiscard]] const OwnedRrset* find(const wire::Name& owner, wire::RrType type) const;
    [[nodiscard]] OwnedRrset* find(const wire::Name& owner, wire::RrType type);
    [[nodiscard]] const std::deque<OwnedRrset>& rrsets() const noexcept { return rrsets_; }
    /// All NSEC, or all NSEC3: what a proof may be looked for in.
    [[nodiscard]] std::vector<dnssec::DenialRecord> denial_records() const;
    /// The zone for a name server: one record a line.
    [[nodiscard]] std::string to_text() const;
    [[nodiscard]] SignatureFields dates() const;
    /// Signs anew with other fields, in place of what is there; the first key that fits.
    void sign_again(OwnedRrset& set, const SignatureFields& fields);

private:
    [[nodiscard]] wire::Name absolute(std::string_view owner) const;
    [[nodiscard]] bool is_below_cut(const wire::Name& owner) const;
    [[nodiscard]] bool is_cut(const wire::Name& owner) const;
    [[nodiscard]] bool is_signed(const OwnedRrset& set) const;
    void add_nsec_chain();
    void add_nsec3_chain(const Chain& chain);
    [[nodiscard]] Octets types_at(const wire::Name& owner, bool nsec) const;

    wire::Name apex_;
    std::int64_t now_;
    std::deque<SigningKey> keys_;
    std::deque<OwnedRrset> rrsets_;
};

/// Type bit maps of NSEC and NSEC3.
[[nodiscard]] Octets type_bitmap(std::vector<wire::RrType> types);

} // namespace sallyport::dnssec_testing
