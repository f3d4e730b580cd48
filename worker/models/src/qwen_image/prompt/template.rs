//! The chats in which a prompt stands, word for word those of the pipelines.

const DESCRIBE: &str = "Describe the image by detailing the color, shape, size, texture, \
    quantity, text, spatial relationships of the objects and background:";

const ALTER: &str = "Describe the key features of the input image (color, shape, size, \
    texture, objects, background), then explain how the user's text instruction should alter \
    or modify the image. Generate a new image that meets the user's requirements while \
    maintaining consistency with the original input where appropriate.";

/// Where a picture's vectors stand.
const PICTURE: &str = "<|vision_start|><|image_pad|><|vision_end|>";

/// Which pipeline's chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// `QwenImagePipeline`: words alone.
    Generation,
    /// `QwenImageEditPipeline`: one picture before the words.
    Edit,
    /// `QwenImageEditPlusPipeline`: pictures with their numbers before the words.
    EditPlus,
}

impl Template {
    /// The tokens at its beginning whose states are dropped, up to the user's turn
    /// in the tokens of Qwen2.5 (`prompt_template_encode_start_idx`).
    pub fn dropped_tokens(self) -> usize {
        match self {
            Self::Generation => 34,
            Self::Edit | Self::EditPlus => 64,
        }
    }

    /// The chat around `prompt` and `pictures` pictures.
    pub fn chat(self, prompt: &str, pictures: usize) -> String {
        let system = match self {
            Self::Generation => DESCRIBE,
            Self::Edit | Self::EditPlus => ALTER,
        };
        let pictures: String = match self {
            Self::Generation => String::new(),
            Self::Edit => PICTURE.repeat(pictures),
            Self::EditPlus => (1..=pictures)
                .map(|number| format!("Picture {number}: {PICTURE}"))
                .collect(),
        };
        format!(
            "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{pictures}{prompt}\
             <|im_end|>\n<|im_start|>assistant\n"
        )
    }
}
