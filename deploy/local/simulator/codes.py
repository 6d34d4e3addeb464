"""Yunpian's failures, with the bodies that were observed (msg, detail).

Source: yunpian.com, returnvalue_common and returnvalue_example; real bodies quoted in public code.
"""

Body = dict[str, object]

_TEXTS: dict[int, tuple[str | None, str]] = {
    1: ("请求参数缺失", "参数 {detail} 必须传入"),
    2: ("请求参数格式错误", "参数 mobile 格式不正确，mobile:{detail}"),
    3: ("账户余额不足", "账户需要充值，请充值后重试"),
    4: ("关键词屏蔽", "关键词 {detail} 为屏蔽词，不允许发送"),
    5: ("未找到匹配的模板", "未自动匹配到合适的模板"),
    7: ("模板不可用", "模板状态为审核中或审核未通过"),
    8: ("同一手机号30秒内重复提交相同的内容", "请检查是否同一手机号在30秒内重复提交相同的短信"),
    9: ("同一手机号5分钟内重复提交相同的内容超过3次", "同一手机号5分钟内相同内容最多允许发3次"),
    10: ("手机号黑名单过滤", "手机号在黑名单列表中"),
    11: ("接口不支持GET方式调用", "请参考文档使用POST方式调用"),
    15: ("签名不匹配", "签名 【{detail}】 与设置的签名不匹配"),
    16: ("签名格式不正确", "短信内容不能包含多个签名【 】符号"),
    17: ("24小时内同一手机号发送次数超过限制", "请检查程序是否有异常或者系统是否被恶意攻击"),
    20: ("暂不支持的国家地区", "请确认号码归属地"),
    22: ("1小时内同一手机号发送次数超过限制", "验证码类短信1小时内同一手机号发送次数不能超过3次"),
    23: ("发往模板不支持的国家地区", "请提交模板可发送国家列表内的号码"),
    33: (None, "号码：{detail}, 超过频率，同一个手机号同一验证码模板每30秒只能发送一条"),
    43: ("一天内同一手机号发送次数超过限制", "一天内同一手机号发送次数超过限制"),
    48: ("参数长度超过限制", "参数 {detail} 长度超过限制"),
    53: ("手机号接收超过频率限制", "手机号接收超过频率限制"),
    55: ("服务已下线", "服务已下线"),
    -1: ("非法的apikey", "请检查您的apikey是否正确，或者账户已经失效"),
    -3: ("IP没有权限", "IP {detail} 未加入白名单,可在后台[系统设置->IP白名单设置]里添加"),
    -4: ("访问次数超限", "调整访问频率或者申请更高的调用量"),
    -5: ("访问频率超限", "访问频率超限"),
    -50: ("未知异常", "系统出现未知的异常情况"),
    -51: ("系统繁忙", "系统繁忙，请稍后重试"),
    -53: ("提交短信失败", "提交短信失败，请稍后重试"),
}  # fmt: skip
_OTHER = ("操作失败", "操作失败")


class Refused(Exception):
    """The account's answer is a failure.

    Args:
        code: Yunpian's code.
        detail: what the code's text names, such as the parameter.
    """

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail

    @property
    def body(self) -> Body:
        """The answer's JSON."""
        message, detail = _TEXTS.get(self.code, _OTHER)
        return {
            "http_status_code": 400,
            "code": self.code,
            "msg": message,
            "detail": detail.replace("{detail}", self.detail),
        }
