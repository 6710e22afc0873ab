#include "lua/answer_addresses.hpp"

#include "wire/svc_params.hpp"

#include <type_traits>
#include <utility>

namespace sallyport::lua {

static_assert(std::is_trivially_destructible_v<AnswerAddresses>);

void AnswerAddresses::open_params() noexcept
{
    constexpr std::size_t kPriority = 2;
    const base::Bytes rdata = record_->rdata;
    if (rdata.size() <= kPriority) return;
    const auto target = wire::measure_name(rdata.subspan(kPriority));
    if (target) params_ = rdata.subspan(kPriority + *target);
}

bool AnswerAddresses::next_hint(base::IpAddress& address) noexcept
{
    constexpr std::size_t kHead = 4; ///< key and length
    for (;;) {
        if (width_ != 0 && hints_.size() >= width_) {
            address = base::IpAddress::from_octets(hints_.first(width_));
            hints_ = hints_.subspan(width_);
            return true;
        }
        width_ = 0;
        if (params_.size() < kHead) return false;
        const auto key = static_cast<wire::SvcParamKey>(base::load_be16(params_, 0));
        const std::size_t size = base::load_be16(params_, 2);
        if (params_.size() - kHead < size) return params_ = {}, false;
        hints_ = params_.subspan(kHead, size);
        params_ = params_.subspan(kHead + size);
        if (key == wire::SvcParamKey::ipv4hint) width_ = 4;
        if (key == wire::SvcParamKey::ipv6hint) width_ = 16;
    }
}

bool AnswerAddresses::next(base::IpAddress& address) noexcept
{
    for (;;) {
        if (next_hint(address)) return true;
        if (record_ == std::default_sentinel) record_ = std::exchange(additional_, {});
        if (record_ == std::default_sentinel) return false;
        const wire::RecordView& record = *record_;
        const bool is_address = (record.type == wire::RrType::A && record.rdata.size() == 4) ||
                                (record.type == wire::RrType::AAAA && record.rdata.size() == 16);
        if (is_address) address = base::IpAddress::from_octets(record.rdata);
        if (record.type == wire::RrType::SVCB || record.type == wire::RrType::HTTPS) open_params();
        ++record_;
        if (is_address) return true;
    }
}

} // namespace sallyport::lua
