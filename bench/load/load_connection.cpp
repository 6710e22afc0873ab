#include "bench/load/load_connection.hpp"

#include "wire/types.hpp"

#include <cstring>

namespace sallyport::load {

namespace {

bool uses_ids(base::Transport transport) noexcept
{
    return transport == base::Transport::udp || transport == base::Transport::tcp || transport == base::Transport::dot;
}

} // namespace

LoadConnection::LoadConnection(Load& load)
    : load_(load),
      id_is_tag_(uses_ids(load.options().peer.transport)),
      slots_(load.options().outstanding),
      watch_(net::Watch::of<&LoadConnection::ready_to_serve>(*this)),
      timer_(net::Timer::of<&LoadConnection::timer_due>(*this))
{
    for (std::size_t i = slots_.size(); i-- > 0;) free_.push_back(i);
}

LoadConnection::~LoadConnection() = default;

void LoadConnection::open()
{
    auto opened = net::client::Connection::open(load_.options().server, load_.factory().session(*this, nullptr),
                                                load_.clock().now());
    if (!opened) {
        load_.result().failed(opened.error().to_string());
        load_.connection_lost(false);
        return;
    }
    connection_ = std::move(*opened);
    if (connection_->failure()) {
        lost();
        return;
    }
    if (auto watched = watch_.start(load_.worker(), connection_->fd(), connection_->wanted_events()); !watched) {
        load_.result().failed(watched.error().to_string());
        lost();
        return;
    }
    after_serving(load_.clock().now());
}

void LoadConnection::session_ready() noexcept
{
    ready_ = true;
    load_.connection_ready();
}

void LoadConnection::ready_to_serve(std::uint32_t events, base::Instant now) noexcept
{
    connection_->serve(events, now);
    after_serving(now);
}

void LoadConnection::timer_due(base::Instant now) noexcept
{
    connection_->expire(now);
    after_serving(now);
}

void LoadConnection::ask()
{
    if (!ready_ || closing_) return;
    fill();
    connection_->flush(load_.clock().now());
    after_serving(load_.clock().now());
}

void LoadConnection::after_serving(base::Instant now)
{
    if (connection_->failure()) {
        lost();
        return;
    }
    // All slots that this wake-up freed are filled at once, so that their queries leave together.
    if (load_.takes_turns()) {
        load_.give_turns();
    } else if (ready_ && !closing_ && !free_.empty()) {
        fill();
        connection_->flush(now);
    }
    watch_.change(connection_->wanted_events());
    const base::Instant due = connection_->due();
    if (due == base::Instant::max()) {
        timer_.cancel();
    } else if (!timer_.armed() || timer_.due() != due) {
        load_.worker().arm(timer_, due);
    }
}

void LoadConnection::fill() noexcept
{
    const base::Instant now = load_.clock().now();
    while (!free_.empty() && connection_->session().room() > 0) {
        const Template* next = load_.next_query();
        if (next == nullptr) return;
        const std::size_t index = free_.back();
        Slot& slot = slots_[index];
        slot.tag = next_tag(index);
        scratch_.assign(next->query.begin(), next->query.end());
        base::store_be16(scratch_, 0, id_is_tag_ ? slot.tag : std::uint16_t{0});
        if (!connection_->session().ask(slot.tag, scratch_)) {
            ++load_.result().unanswered;
            load_.query_over();
            return;
        }
        free_.pop_back();
        slot.asked = next;
        slot.sent_at = now;
        ++load_.result().sent;
    }
}

std::uint16_t LoadConnection::next_tag(std::size_t slot) noexcept
{
    // A tag names its slot and differs from the slot's last ones: a late answer fits nothing.
    const std::size_t generations = 65'536 / slots_.size();
    generation_ = static_cast<std::uint16_t>((generation_ + 1U) % generations);
    return static_cast<std::uint16_t>(generation_ * slots_.size() + slot);
}

LoadConnection::Slot* LoadConnection::slot_of(std::uint16_t tag) noexcept
{
    Slot& slot = slots_[tag % slots_.size()];
    return slot.asked != nullptr && slot.tag == tag ? &slot : nullptr;
}

void LoadConnection::free_slot(Slot& slot) noexcept
{
    slot.asked = nullptr;
    free_.push_back(static_cast<std::size_t>(&slot - slots_.data()));
    load_.query_over();
}

bool LoadConnection::fits(const Slot& slot, base::Bytes message) const noexcept
{
    const std::size_t size = slot.asked->question_size;
    if (message.size() < wire::kHeaderSize + size) return false;
    const std::uint16_t id = id_is_tag_ ? slot.tag : std::uint16_t{0};
    return base::load_be16(message, 0) == id && (message[2] & 0x80U) != 0 && base::load_be16(message, 4) == 1 &&
           std::memcmp(message.data() + wire::kHeaderSize, slot.asked->query.data() + wire::kHeaderSize, size) == 0;
}

void LoadConnection::answered(const net::client::Answer& answer) noexcept
{
    Slot* slot = slot_of(answer.tag);
    LoadResult& result = load_.result();
    if (slot == nullptr || !fits(*slot, answer.message)) {
        ++result.wrong;
        result.failed("an answer that fits no question");
        if (slot != nullptr) free_slot(*slot);
        return;
    }
    ++result.answered;
    ++result.rcodes[answer.message[3] & 0xFU];
    if ((answer.message[2] & 0x02U) != 0) ++result.truncated;
    result.latency.add(load_.clock().now() - slot->sent_at);
    free_slot(*slot);
}

void LoadConnection::unanswered(std::uint16_t tag, unsigned, std::string_view reason) noexcept
{
    ++load_.result().unanswered;
    load_.result().failed(std::string{reason});
    if (Slot* slot = slot_of(tag); slot != nullptr) free_slot(*slot);
}

void LoadConnection::give_up_before(base::Instant sent_before)
{
    for (Slot& slot : slots_) {
        if (slot.asked == nullptr || slot.sent_at >= sent_before) continue;
        ++load_.result().timeouts;
        load_.result().failed("no answer in time");
        free_slot(slot);
    }
}

void LoadConnection::lost()
{
    if (closing_) return;
    closing_ = true;
    const bool was_ready = ready_;
    ready_ = false;
    watch_.stop();
    timer_.cancel();
    if (connection_) load_.result().failed("connection: " + connection_->failure().detail);
    for (Slot& slot : slots_) {
        if (slot.asked == nullptr) continue;
        ++load_.result().unanswered;
        free_slot(slot);
    }
    load_.connection_lost(was_ready);
}

void LoadConnection::close()
{
    if (!connection_) return;
    closing_ = true;
    watch_.stop();
    timer_.cancel();
    connection_->close(load_.clock().now());
    load_.result().octets_in += connection_->octets_in();
    load_.result().octets_out += connection_->octets_out();
    connection_.reset();
}

} // namespace sallyport::load
