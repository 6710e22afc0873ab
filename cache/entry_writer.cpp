#include "cache/entry_writer.hpp"

#include <algorithm>

namespace sallyport::cache {
namespace {

/// As much of a UTF-8 text as an entry keeps, ending with a whole character.
std::string_view cut(std::string_view text) noexcept
{
    if (text.size() <= kMaxEdeText) return text;
    std::size_t size = kMaxEdeText;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
    return text.substr(0, size);
}

} // namespace

std::optional<Draft> draft_of(const Key& key, const Prepared& prepared, const Notes& notes) noexcept
{
    const std::size_t start = wire::kHeaderSize + key.qname->size() + kQuestionFields;
    const base::Bytes message = prepared.message;
    if (message.size() < start || message.size() > wire::kMaxMessageSize) return std::nullopt;
    Draft draft;
    draft.records = message.subspan(start);
    draft.counts = {base::load_be16(message, 6), base::load_be16(message, 8), base::load_be16(message, 10)};
    if (draft.counts.authorities > 255 || draft.counts.additionals > 255) return std::nullopt;
    if (static_cast<unsigned>(prepared.rcode) > 15) return std::nullopt;
    draft.flags = key_flags(key);
    draft.size = kHeadSize + key.qname->size() + draft.records.size();
    if ((draft.flags & entry_flag::other_class) != 0) draft.size += kClassSize;
    if (notes.ede) {
        draft.ede_text = cut(notes.ede_text);
        draft.flags |= entry_flag::has_ede;
        draft.size += 3 + draft.ede_text.size();
    }
    if (prepared.authentic || notes.validation == wire::ValidationState::secure) draft.flags |= entry_flag::authentic;
    if (prepared.negative) draft.flags |= entry_flag::negative;
    draft.flags |= static_cast<std::uint16_t>(static_cast<unsigned>(notes.validation) << entry_flag::validation_shift);
    return draft;
}

void fill(std::uint8_t* entry, const Key& key, const Prepared& prepared, const Notes& notes, const Draft& draft,
          Tick now) noexcept
{
    EntryHead head = load_head(entry); // `units`, and `visited`
    const auto life = std::min<std::int64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(prepared.lifetime).count(), INT32_MAX / 32);
    head.stored = now;
    head.expires = now + static_cast<Tick>(life) * kTicksPerSecond;
    head.qtype = static_cast<std::uint16_t>(key.qtype);
    head.flags |= draft.flags;
    head.records_size = static_cast<std::uint16_t>(draft.records.size());
    head.answers = draft.counts.answers;
    head.hits = 0;
    head.asked_at = 0;
    head.authorities = static_cast<std::uint8_t>(draft.counts.authorities);
    head.additionals = static_cast<std::uint8_t>(draft.counts.additionals);
    head.name_size = static_cast<std::uint8_t>(key.qname->size());
    head.rcode = static_cast<std::uint8_t>(prepared.rcode);
    store_head(entry, head);

    std::uint8_t* at = entry + kHeadSize;
    const auto put = [&](const void* octets, std::size_t size) {
        if (size > 0) std::memcpy(at, octets, size);
        at += size;
    };
    put(key.qname->wire().data(), key.qname->size());
    if ((head.flags & entry_flag::other_class) != 0) {
        base::store_be16({at, kClassSize}, 0, static_cast<std::uint16_t>(key.qclass));
        base::store_be32({at, kClassSize}, 2, key.partition);
        at += kClassSize;
    }
    if (notes.ede) {
        base::store_be16({at, 3}, 0, static_cast<std::uint16_t>(*notes.ede));
        at[2] = static_cast<std::uint8_t>(draft.ede_text.size());
        at += 3;
        put(draft.ede_text.data(), draft.ede_text.size());
    }
    put(draft.records.data(), draft.records.size());
}

} // namespace sallyport::cache
