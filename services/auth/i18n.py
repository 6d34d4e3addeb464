"""The auth service's messages to end users, in English and Chinese."""

from shared.i18n import Text

REQUIRED = Text("This field is required", "此字段为必填项")
DUPLICATE = Text("This member appears more than once", "此成员重复出现")
NOT_A_STRING = Text("Must be a string", "必须是字符串")
NOT_UNICODE = Text("Must be valid Unicode text", "必须是有效的 Unicode 文本")
NUL_CHARACTER = Text("Must not contain NUL characters", "不能包含 NUL 字符")
TOO_SHORT = Text("Must have at least {min_length} characters", "至少需要 {min_length} 个字符")
TOO_LONG = Text("Must have at most {max_length} characters", "最多 {max_length} 个字符")
NOT_A_CHOICE = Text("Must be one of: {expected}", "必须是以下之一：{expected}")
MALFORMED = Text("Invalid value", "值无效")

NOT_JSON = Text("The body must be valid JSON in UTF-8", "请求体必须是 UTF-8 编码的有效 JSON")
TOO_DEEP = Text("The body is nested too deeply", "请求体嵌套过深")
NOT_AN_OBJECT = Text("The body must be a JSON object", "请求体必须是 JSON 对象")

INVALID_MOBILE = Text("Invalid mobile format", "手机号格式不正确")
VOICE_HOURS = Text(
    "This number is only called at {hours} China time; a text message is possible now",
    "语音验证码仅在北京时间 {hours} 拨打，现在可使用短信验证码",
)
VOICE_CODE_TOO_LONG = Text(
    "Codes of this length cannot be read out by a call; please ask for a text message",
    "此长度的验证码不支持语音播报，请使用短信验证码",
)
INVALID_CODE = Text("Invalid or expired code", "验证码错误或已过期")
NO_CODE = Text("The code must have {digits} digits", "验证码须为 {digits} 位数字")
ALREADY_REGISTERED = Text("Already registered", "该手机号已注册")
WRONG_PASSWORD = Text("Wrong password", "密码错误")
WRONG_CREDENTIALS = Text("Wrong credentials", "手机号或密码错误")
PASSWORD_OR_CODE = Text("Either password or code is required", "须提供密码或验证码之一")
INVALID_NICKNAME = Text(
    "Must have 1 to 64 characters, at least one of them visible, and no control characters",
    "须为 1 到 64 个字符，至少一个可见字符，且不含控制字符",
)
INVALID_AVATAR = Text(
    "Must be an http or https URL of at most 512 characters, without user name or quotes",
    "必须是不超过 512 个字符的 http 或 https 网址，且不含用户名和引号",
)
PASSWORD_LENGTH = Text("The password must have 8 to 128 characters", "密码长度须为 8 到 128 个字符")
PASSWORD_BLANK = Text("The password must not be blank", "密码不能全为空白字符")
PASSWORD_COMMON = Text("This password is too common", "该密码过于常见")
PASSWORD_PERSONAL = Text(
    "The password must differ from the mobile and the nickname", "密码不能与手机号或昵称相同"
)
