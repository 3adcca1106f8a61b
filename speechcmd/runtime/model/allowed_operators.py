"""The ONNX operators that a network may use.

What recognition needs: convolutions, recurrent and normalising layers, their whole-number forms, arithmetic
and the handling of shapes. Left out are loops and branches (they can run for ever), random values (a result
must repeat), text, sequences, and whatever else our networks do without: each operator is code that
a hostile file could reach.
"""

from __future__ import annotations

_LAYERS = """
    Conv ConvInteger QLinearConv Gemm MatMul MatMulInteger QLinearMatMul Einsum GRU LSTM RNN
    AveragePool MaxPool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool Dropout
    BatchNormalization GroupNormalization InstanceNormalization LayerNormalization LpNormalization
    MeanVarianceNormalization RMSNormalization QuantizeLinear DequantizeLinear DynamicQuantizeLinear
"""
_ACTIVATIONS = """
    Relu LeakyRelu PRelu ThresholdedRelu Elu Selu Celu Gelu Mish Sigmoid HardSigmoid HardSwish Swish Tanh
    Softplus Softsign Softmax LogSoftmax Erf Clip
"""
_ARITHMETIC = """
    Add Sub Mul Div Mod Pow Neg Abs Sign Sqrt Reciprocal Exp Log Sin Cos Floor Ceil Round Min Max Mean Sum
    And Or Not Xor Equal Greater GreaterOrEqual Less LessOrEqual Where IsNaN IsInf Cast CastLike
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare ArgMax ArgMin CumSum TopK
"""
_SHAPES = """
    Identity Constant ConstantOfShape Range Shape Size Reshape Flatten Squeeze Unsqueeze Transpose Concat
    Split Slice Gather GatherElements GatherND ScatterElements ScatterND Expand Tile Pad Trilu
"""

ALLOWED_OPERATORS = frozenset((_LAYERS + _ACTIVATIONS + _ARITHMETIC + _SHAPES).split())
