#include "base/log.hpp"
#include "certs/certificate_files.hpp"
#include "certs/certs.hpp"
#include "certs/identity_set.hpp"
#include "certs/stream_context.hpp"
#include "certs/ticket_keys.hpp"

#ifdef SALLYPORT_HAS_QUIC
#include "certs/quic_credentials.hpp"
#endif

#include <fmt/format.h>

#include <utility>

namespace sallyport::certs {

struct TlsIdentities::Parts {
    std::shared_ptr<const IdentitySet> set;
    std::vector<std::string> names;
    SslContextHandle stream_context;
#ifdef SALLYPORT_HAS_QUIC
    std::unique_ptr<QuicCredentials> quic;
#endif
};

TlsIdentities::TlsIdentities() : parts_{std::make_unique<Parts>()} {}
TlsIdentities::~TlsIdentities() = default;

ssl_ctx_st* TlsIdentities::stream_context() const noexcept { return parts_->stream_context.get(); }

void TlsIdentities::prepare_stream(ssl_st* ssl, const AlpnPolicy& policy, Stats& stats) noexcept
{
    attach_stream(ssl, policy, stats);
}

#ifdef SALLYPORT_HAS_QUIC
base::Result<void> TlsIdentities::prepare_quic(gnutls_session_int* session, const AlpnPolicy& policy, bool early_data,
                                               Stats& stats) const
{
    return parts_->quic->prepare(session, policy, early_data, stats);
}

void TlsIdentities::complete_quic(gnutls_session_int* session, Stats& stats) noexcept
{
    complete_quic_session(session, stats);
}
#endif

const std::vector<std::string>& TlsIdentities::names() const noexcept { return parts_->names; }

std::span<const std::shared_ptr<const Identity>> TlsIdentities::identities() const noexcept
{
    return parts_->set->identities;
}

/// Files to identities to contexts; every fault is reported before it gives up.
class IdentityLoader {
public:
    IdentityLoader(const Options& options, std::shared_ptr<TicketKeys> tickets, base::WallTime wall,
                   base::Problems& problems)
        : options_{options}, tickets_{std::move(tickets)}, wall_{wall}, problems_{problems}
    {
    }

    std::shared_ptr<const TlsIdentities> load()
    {
        const std::size_t before = problems_.size();
        for (const CertificateOptions& pair : find_certificate_files(options_, problems_)) take(pair);
        if (problems_.size() != before) return nullptr;
        if (identities_.empty()) {
            problems_.push_back({base::ErrorCode::not_found, nothing_found(), options_.directory_position});
            return nullptr;
        }
        return build();
    }

private:
    void take(const CertificateOptions& pair)
    {
        if (auto identity = read_identity(pair, wall_, problems_)) identities_.push_back(std::move(identity));
    }

    std::string nothing_found() const
    {
        if (options_.directory.empty()) return "no certificate is configured";
        return fmt::format("{}: no certificate in this directory, expected NAME.crt or NAME.pem beside NAME.key",
                           options_.directory);
    }

    std::shared_ptr<const IdentitySet> index_names(std::vector<std::string>& names) const
    {
        auto set = std::make_shared<IdentitySet>();
        set->identities = identities_;
        for (std::size_t i = 0; i < identities_.size(); ++i) {
            for (const std::string& name : identities_[i]->names()) {
                if (set->by_name.add(name, i)) {
                    names.push_back(name);
                    continue;
                }
                const std::size_t first = *set->by_name.find(name);
                if (first == i) continue; // twice in one certificate
                base::log::info(fmt::format("{}: {} is served from {} already", identities_[i]->chain_file(), name,
                                            identities_[first]->chain_file()));
            }
        }
        return set;
    }

    std::shared_ptr<const TlsIdentities> build()
    {
        std::shared_ptr<TlsIdentities> result{new TlsIdentities};
        TlsIdentities::Parts& parts = *result->parts_;
        parts.set = index_names(parts.names);
        auto context = make_stream_context(parts.set, tickets_, options_.allow_tls12);
        if (!context) return failed(context.error());
        parts.stream_context = std::move(*context);
#ifdef SALLYPORT_HAS_QUIC
        auto quic = QuicCredentials::make(parts.set, tickets_);
        if (!quic) return failed(quic.error());
        parts.quic = std::move(*quic);
#endif
        return result;
    }

    std::nullptr_t failed(const base::Error& error)
    {
        problems_.push_back(error);
        return nullptr;
    }

    const Options& options_;
    std::shared_ptr<TicketKeys> tickets_;
    base::WallTime wall_;
    base::Problems& problems_;
    std::vector<std::shared_ptr<const Identity>> identities_;
};

std::shared_ptr<const TlsIdentities> load(const Options& options, std::shared_ptr<TicketKeys> tickets,
                                          base::WallTime wall, base::Problems& problems)
{
    return IdentityLoader{options, std::move(tickets), wall, problems}.load();
}

} // namespace sallyport::certs
