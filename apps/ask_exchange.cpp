#include "apps/ask_exchange.hpp"

#include "apps/ask_query.hpp"

#include <algorithm>

namespace sallyport::apps {

bool AskItem::truncated() const noexcept
{
    const auto header = wire::read_header(answer);
    return header && header->has(wire::flag::TC);
}

void AskExchange::run(std::vector<AskItem>& items)
{
    items_ = &items;
    waiting_.clear();
    next_ = 0;
    finished_ = 0;
    progress_at_ = clock_.now();
    while (!all_finished() && !connection_->failure()) {
        ask_more();
        connection_->flush(clock_.now());
        const base::Instant deadline = next_deadline();
        net::client::poll_once(*connection_, clock_, deadline);
        if (clock_.now() < deadline) continue;
        if (!rules_.datagrams) break;
        send_again(clock_.now());
    }
    finish_rest();
}

void AskExchange::ask_more()
{
    while (next_ < items_->size() && waiting_.size() < rules_.in_flight && send(next_)) ++next_;
}

bool AskExchange::send(std::size_t index)
{
    AskItem& item = (*items_)[index];
    const auto tag = rules_.match_by_id ? base::load_be16(item.query, 0) : static_cast<std::uint16_t>(index);
    if (!connection_->session().ask(tag, item.query)) return false;
    waiting_[tag] = index;
    if (item.tries++ == 0) item.sent_at = clock_.now();
    progress_at_ = clock_.now();
    return true;
}

base::Instant AskExchange::next_deadline() const noexcept { return progress_at_ + rules_.timeout; }

void AskExchange::send_again(base::Instant now)
{
    progress_at_ = now;
    std::vector<std::size_t> again;
    again.reserve(waiting_.size());
    for (const auto& [tag, index] : waiting_) again.push_back(index);
    if (again.empty()) { // nothing could be sent at all
        for (; next_ < items_->size(); ++next_, ++finished_) (*items_)[next_].failure = "no answer in time";
        return;
    }
    for (const std::size_t index : again) {
        AskItem& item = (*items_)[index];
        if (item.tries <= rules_.retries) {
            (void)send(index);
            continue;
        }
        item.failure = "no answer in time (" + std::to_string(item.tries) + " tries)";
        waiting_.erase(base::load_be16(item.query, 0));
        ++finished_;
    }
}

void AskExchange::finish_rest()
{
    const std::string reason = connection_->failure() ? connection_->failure().detail : "no answer in time";
    for (AskItem& item : *items_) {
        if (!item.finished()) item.failure = reason;
    }
}

AskItem* AskExchange::take(std::uint16_t tag)
{
    const auto it = waiting_.find(tag);
    if (it == waiting_.end()) return nullptr;
    return &(*items_)[it->second];
}

void AskExchange::answered(const net::client::Answer& answer) noexcept
{
    AskItem* item = take(answer.tag);
    if (item == nullptr) {
        ++ignored_;
        return;
    }
    const std::string wrong = misfit(item->query, answer.message);
    if (!wrong.empty() && rules_.datagrams) {
        ++ignored_;
        return;
    }
    if (wrong.empty()) {
        item->answer.assign(answer.message.begin(), answer.message.end());
    } else {
        item->failure = "the answer does not fit: " + wrong;
    }
    item->answered_at = clock_.now();
    progress_at_ = item->answered_at;
    if (answer.http_status != 0) {
        item->http = std::to_string(answer.http_status) + ' ' + std::string{answer.content_type};
        if (!answer.cache_control.empty()) item->http += ", cache-control: " + std::string{answer.cache_control};
        if (!answer.alt_svc.empty()) item->http += ", alt-svc: " + std::string{answer.alt_svc};
    }
    waiting_.erase(answer.tag);
    ++finished_;
}

void AskExchange::unanswered(std::uint16_t tag, unsigned, std::string_view reason) noexcept
{
    AskItem* item = take(tag);
    if (item == nullptr) return;
    item->failure = reason;
    item->answered_at = clock_.now();
    waiting_.erase(tag);
    ++finished_;
}

} // namespace sallyport::apps
